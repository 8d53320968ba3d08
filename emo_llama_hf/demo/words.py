"""The page's words."""

TITLE = "# EmoLlama\nWhich emotion does a face seem to show? Ask about a photo, your webcam or a video."

LIMITS = """
<div id="limits"><details><summary>Guesses about how a face looks, often wrong. Read this before you use it.</summary>
<ul>
<li>An emotion named here is <b>perceived</b>: a network's guess from a look at a face. It does not tell what somebody
feels, thinks or will do. The model that comes with the package is wrong about every third test face.</li>
<li>{attributes}</li>
<li>Do not decide about people by this, do not watch them without their consent, and do not use it at work or in
schools, where the law of the EU forbids it. Show pictures of others only if they agree.</li>
<li>What you show goes to the machine that runs this page, nowhere else, and is deleted there after about an hour.
Videos may take up to {seconds:g} seconds, files up to {megabytes:g} MB.</li>
</ul></details></div>
"""
ATTRIBUTES = (
    "Perceived age, gender and race are guesses too, and worse for people whom the training data show rarely. "
    "The switch below leaves them out."
)
NO_ATTRIBUTES = "Age, gender and race are not looked at."

NO_FACE = "No face was found, so no emotion is told. A face should be upright and not too small."

FIRST_QUESTIONS = {"image": "How does this person feel, and why?", "video": "How does the mood change?"}
QUESTIONS = (
    "Why do you think so?",
    "Describe the facial expression.",
    "Is this person happy?",
    "Is the mood positive or negative?",
)

"""Rules that say whether an answer of emo-llama-mini is relevant, for the held-out questions.

The rules look at the kind of question and at what the model itself measured, never at exact sentences.
All patterns are written for text without accents and in lower case (see `normal`).
"""

# ruff: noqa: E501

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

LABELS = ("angry", "disgusted", "afraid", "happy", "sad", "surprised", "neutral")
LANGUAGES = ("en", "fr", "es", "de", "zh", "hi")
VISUALS = ("photo", "changing_clip", "constant_clip")

NEEDS: dict[str, tuple[str, ...]] = {
    "emotion": (),
    "reason": (),
    "yes_no": ("asked",),
    "other_than": ("asked",),
    "either": ("options",),
    "not": (),
    "second": (),
    "ranking": (),
    "percent": ("asked",),
    "certainty": (),
    "json": (),
    "one_word": (),
    "valence": (),
    "age": (),
    "change": (),
    "begin": (),
    "end": (),
    "choice": ("labels",),
    "refusal": (),
    "not_understood": (),
    "greeting": (),
    "thanks": (),
    "about": (),
}

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "angry": r"\b(?:ang(?:ry|er\w*|rier|rily)|mad|furious\w*|fury|livid|rage|raging|enraged|irate|annoy\w*|irritat\w*"
        r"|fuming|pissed(?: off)?|cross|wrath\w*|outrag\w*)\b",
        "disgusted": r"\b(?:disgust\w*|revolt\w*|revuls\w*|repuls\w*|repell\w*|grossed out|nauseated|sickened)\b",
        "afraid": r"\b(?:afraid|fear\w*|scared|scary|frighten\w*|fright|terrif\w*|terror\w*|anxious\w*|anxiety|panic\w*"
        r"|alarmed|worried|freaked(?: out)?)\b",
        "happy": r"\b(?:happ(?:y|i\w+)|joy\w*|glad\w*|cheer\w*|delight\w*|content|contented\w*|contentment|pleased|elat\w*"
        r"|ecsta\w*|merry|thrilled|bliss\w*|jolly)\b",
        "sad": r"\b(?:sad\w*|unhapp\w*|sorrow\w*|gloom\w*|miserabl\w*|misery|deject\w*|downcast|downhearted|grief|grieving"
        r"|heartbroken|melanchol\w*|depressed|mournful\w*|bummed(?: out)?)\b",
        "surprised": r"\b(?:surpris\w*|astonish\w*|amaz\w*|startl\w*|shock\w*|stunned|astounded|taken aback|shook)\b",
        "neutral": r"\b(?:neutral\w*|expressionless\w*|impassive\w*|unemotional|emotionless|indifferen\w*|blank\w*|deadpan"
        r"|calm\w*|stoic\w*|poker face|chill|no (?:clear|particular|strong|obvious|marked) (?:emotion|expression))\b",
    },
    "fr": {
        "angry": r"\b(?:coler\w*|fach\w*|furi\w*|rage\w*|enerv\w*|irrit\w*|agac\w*|mecontent\w*)\b",
        "disgusted": r"\b(?:degout\w*|ecoeur\w*|repugn\w*|repuls\w*)\b",
        "afraid": r"\b(?:peur\w*|effray\w*|effroi|apeur\w*|craint\w*|terrifi\w*|terreur|angoiss\w*|inquiet\w*)\b",
        "happy": r"\b(?:heureu\w*|content\w*|joie|joyeu\w*|ravie?s?|bonheur|gaie?s?|gaiete|enjou\w*)\b",
        "sad": r"\b(?:trist\w*|malheureu\w*|abattu\w*|chagrin\w*|deprim\w*|melanco\w*|morose\w*)\b",
        "surprised": r"\b(?:surpri\w*|etonn\w*|stupef\w*|stupeur|ebahi\w*)\b",
        "neutral": r"\b(?:neutr\w*|impassib\w*|inexpressi\w*|indiffer\w*|calmes?|sans (?:expression|emotion))\b",
    },
    "es": {
        "angry": r"\b(?:enfad\w*|enoj\w*|furi\w*|ira|iracund\w*|rabi\w*|molest\w*|coler\w*|irrita\w*|cabread\w*)\b",
        "disgusted": r"\b(?:asque\w*|asco|disgust\w*|repugn\w*|repuls\w*)\b",
        "afraid": r"\b(?:mied\w*|asusta\w*|temor\w*|temeros\w*|aterr\w*|atemoriz\w*|espanta\w*|terror|panico|preocupad\w*)\b",
        "happy": r"\b(?:feli[zc]\w*|content\w*|alegr\w*|dichos\w*|gozo\w*|jovial\w*)\b",
        "sad": r"\b(?:trist\w*|apenad\w*|melanco\w*|abatid\w*|deprimid\w*|desanimad\w*|infeli\w*|afligid\w*)\b",
        "surprised": r"\b(?:sorpr\w*|asombr\w*|atonit\w*|pasmad\w*|boquiabiert\w*)\b",
        "neutral": r"\b(?:neutr\w*|inexpresiv\w*|impasib\w*|indiferen\w*|calm\w*|tranquil\w*|sin (?:expresion|emocion))\b",
    },
    "de": {
        "angry": r"\b(?:wut\w*|zorn\w*|verarger\w*|arger\w*|sauer|bose\w*|aufgebracht\w*|gereizt\w*)\b",
        "disgusted": r"\b(?:ekel\w*|angeekelt\w*|angewider\w*|abscheu\w*|widerwill\w*|abgestossen\w*)\b",
        "afraid": r"\b(?:angst\w*|verangst\w*|furcht(?!bar)\w*|erschr[eo]c\w*|panik\w*|beangst\w*|besorgt\w*)\b",
        "happy": r"\b(?:gluck\w*|froh\w*|freud\w*|freut|heiter\w*|vergnugt\w*|zufrieden\w*)\b",
        "sad": r"\b(?:traurig\w*|trauer\w*|betrub\w*|niedergeschlag\w*|unglucklich\w*|bedruck\w*|kummer\w*|melanchol\w*)\b",
        "surprised": r"\b(?:uberrasch\w*|erstaun\w*|verbluff\w*|verwunder\w*|staun\w*)\b",
        "neutral": r"\b(?:neutral\w*|ausdruckslos\w*|gleichgult\w*|teilnahmslos\w*|ruhig\w*|gelassen\w*|unbewegt\w*)\b",
    },
    "zh": {
        "angry": r"生气|生氣|愤怒|憤怒|恼怒|发怒|气愤|恼火|怒气",
        "disgusted": r"厌恶|厭惡|恶心|反感|嫌恶|嫌弃",
        "afraid": r"害怕|恐惧|恐懼|惊恐|惧怕|惊慌|畏惧|恐慌",
        "happy": r"高兴|高興|开心|開心|快乐|快樂|喜悦|愉快|幸福|欢喜",
        "sad": r"悲伤|悲傷|难过|難過|伤心|傷心|哀伤|悲哀|忧伤|沮丧",
        "surprised": r"惊讶|驚訝|吃惊|惊奇|惊喜|诧异|意外",
        "neutral": r"中性|中立|平静|面无表情|没有表情|无表情|冷漠|平淡|淡定",
    },
    "hi": {
        "angry": r"गुस्स|क्रोध|क्रुद्ध|नाराज|रोष",
        "disgusted": r"घृणा|घृणित|घिन|नफरत|वितृष्णा",
        "afraid": r"डर|भय|भीत|घबरा|सहम|खौफ",
        "happy": r"(?<!ना)खुश|प्रसन्न|आनंद|आनन्द|हर्ष",
        "sad": r"दुख|दुःख|उदास(?!ीन)|मायूस|नाखुश|शोक",
        "surprised": r"हैरान|हैरत|आश्चर्य|चकित|अचंभ|अचम्भ|विस्म|चौंक|ताज्जुब",
        "neutral": r"तटस्थ|भावहीन|भावशून्य|सामान्य(?!तः|तया| तौर| रूप)|शांत|शान्त|उदासीन|न्यूट्रल",
    },
}

COURTESY = r"i'?m afraid|i am afraid|(?:happy|glad|pleased) to|j'ai peur (?:de|que) (?:ne|je)|me alegra|freut mich|很高兴|खुशी हुई"

NEGATION_BEFORE: dict[str, str] = {
    "en": r"(?:\b(?:not|never|neither|nor|no|without|hardly|least|than|instead of|unlikely|exclude|rule out)|n't)"
    r"\s+(?:[\w'-]+\s+){0,4}$",
    "fr": r"(?:\b(?:pas|ni|aucune?|sans|jamais|plutot que|au lieu de|tout sauf|exclu\w*|le moins)|\b(?:plutot|plus) [\w' ]+ que"
    r"(?: de)?)\s+(?:[\w'-]+\s+){0,3}(?:[ld]')?$",
    "es": r"(?:\b(?:no|ni|sin|nada|nunca|tampoco|en vez de|en lugar de|todo menos|descart\w*|lo menos)|\bmas [\w ]+ que)"
    r"\s+(?:[\w-]+\s+){0,4}$",
    "de": r"(?:\b(?:nicht|kein\w*|weder|noch|ohne|statt|niemals|alles andere als|am wenigsten|ausschliess\w*)"
    r"|\b(?:eher|mehr) [\w ]+ als)\s+(?:[\w-]+\s+){0,3}$",
    "zh": r"(?:不|没有|並非|并非|而非|排除)[^,。;:!?但而]{0,5}$",
    "hi": r"(?:न तो|ना तो|\bन)\s+[^,।;:!?]{0,12}$",
}
NEGATION_AFTER: dict[str, str] = {
    "en": r"^\s*(?:[\w-]+\s+){0,2}?(?:is|isn't|does|doesn't|can|seems|looks)?\s*(?:be\s+)?(?:the\s+)?"
    r"(?:not\b|unlikely|ruled out|excluded|least)",
    "fr": r"^\s*(?:\w+\s+){0,3}(?:n'est pas|exclu\w*|peu probable|improbable|le moins)",
    "es": r"^\s*(?:\w+\s+){0,3}(?:descarta\w*|poco probable|improbable|menos probable)",
    "de": r"^\s*(?:\w+\s+){0,4}(?:nicht|unwahrscheinlich|ausgeschlossen|am wenigsten)\b",
    "zh": r"^[^,。;:!?]{0,4}(?:不是|最不|可以排除|可能性(?:最|很|较)?(?:小|低)|的可能性不)",
    "hi": r"^[^,।;:!?]{0,22}(?:नहीं|सबसे कम)",
}
CLAUSE_END = r"[,;:.!?।。،()]|\s[-–—]\s|[–—]|\b(?:but|mais|sino|sondern|aber|pero)\b|而是|但是|बल्कि|लेकिन"

SECOND_GUESS: dict[str, str] = {
    "en": r"second|runner|follow|then|next|less likely|possibl|perhaps|maybe|might|could|also|hint|touch|trace|after|some|bit",
    "fr": r"ensuite|puis|suivi|second|deuxieme|peut|eventuel|moins|aussi|voire|possibl|un peu|apres",
    "es": r"luego|despues|segui|segund|quiza|tal vez|posib|menos|tambien|un poco|algo|podria",
    "de": r"danach|dann|gefolgt|zweit|vielleicht|moglich|weniger|auch|etwas|konnte",
    "zh": r"其次|第二|可能|或许|也许|然后|略|一些|一点|也",
    "hi": r"दूसर|फिर|शायद|बाद|संभव|कम|थोड|भी|हो सकत",
}

YES: dict[str, str] = {
    "en": r"\b(?:yes|yeah|yep|yup|right|correct|indeed|true|exactly|agreed|i agree|i do|certainly|i think so|so it seems)\b",
    "fr": r"\b(?:oui|ouais|exact\w*|tout a fait|en effet|vrai|d'accord|effectivement)\b",
    "es": r"\b(?:si|claro|correcto|exacto|en efecto|cierto|verdad|asi es|de acuerdo)\b",
    "de": r"\b(?:ja|genau|richtig|stimmt|durchaus|jawohl|doch|wahr)\b",
    "zh": r"(?:是|对|對|嗯|没错|有|会|可以|同意|正确|的确|确实)",
    "hi": r"(?:जी )?(?:हां|हाँ)|बिल्कुल(?! नहीं)|सही|सहमत",
}
NO: dict[str, str] = {
    "en": r"\b(?:no|nope|nah|not|false|wrong|incorrect|i don't think|i do not think|i disagree|i wouldn't|i would not|neither)\b",
    "fr": r"\b(?:non|pas|nullement|faux)\b",
    "es": r"\b(?:no|nada|tampoco|falso)\b",
    "de": r"\b(?:nein|nicht|falsch|kaum|eher nicht)\b",
    "zh": r"(?:不|没(?!错)|否|并非|错)",
    "hi": r"(?:जी )?नहीं|बिल्कुल नहीं|गलत",
}

FEATURES: dict[str, str] = {
    "en": r"brow|mouth|eyes?\b|eyelid|smil|lips?\b|corner|cheek|nose|jaw|frown|forehead|feature|people|usually|muscle|relaxed",
    "fr": r"sourcil|bouche|yeux|paupier|souri|levre|coin|joue|nez|machoire|front|traits|gens|habitu|d'ordinaire|general",
    "es": r"ceja|boca|ojos|parpad|sonri|labio|comisura|mejilla|nariz|mandibula|frente|rasgo|gente|suele|normalmente|general",
    "de": r"braue|mund|auge|lid|lachel|lippe|winkel|wange|nase|kiefer|stirn|zuge|menschen|leute|meist|ublich|gewohnlich",
    "zh": r"眉|嘴|眼|笑|唇|嘴角|脸颊|鼻|下巴|额|五官|人们|通常|一般|常",
    "hi": r"भौं|भौह|मुंह|मुँह|आंख|आँख|मुस्कान|मुस्कुर|होंठ|होठ|गाल|नाक|जबड|माथ|लोग|आमतौर|आम तौर|अक्सर|सामान्यतः",
}

REFUSAL: dict[str, str] = {
    "en": r"can ?not|can't|could not|couldn't|unable|not able|(?:do|does|did|would|is|am|are) not|don't|doesn't|didn't|isn't"
    r"|no way of|\bonly\b|not possible|impossible|beyond|outside|no idea|not trained|never|not something|all i (?:can|do)|just tell",
    "fr": r"\bn(?:e|')\s?(?:\w+[ '-]){1,3}(?:pas|que|rien|ni|aucun)|impossible|incapable|seulement|uniquement|pas compris|aucune idee"
    r"|\bne (?:peux|saurais|sais)\b",
    "es": r"\bno (?:me |le |lo |te |la )?(?:puedo|se\b|veo|conozco|reconozco|juzgo|entiendo|entendi|comprend|soy|es|respondo|he|tengo|leo"
    r"|digo|identifico|puede|permite|cuento|doy|hago)|imposible|\bsolo\b|solamente|unicamente|incapaz",
    "de": r"(?:kann|konnte|weiss|seh|erkenn|beurteil|versteh|beantwort|hab|verrat|zeig|sag|bin|les|lasst).{0,80}\b(?:nicht\w*|kein\w*)"
    r"|\bnur\b|unmoglich|keine ahnung|lediglich|nicht (?:verstanden|sagen|erkennen|beurteilen|sehen|wissen|verstehe)",
    "zh": r"不能|无法|無法|不知道|看不|只能|只会|不会|不清楚|没法|不懂|不明白|不了解|没有?(?:看|听)懂|判断不|不认识|仅|只(?:看|回答|说|告诉)"
    r"|没明白|不理解|做不到",
    "hi": r"नहीं (?:बता|जान|देख|पहचान|कर|समझ|कह|सक|आता|पता|दे|पढ|गिन)|सकत[ाी] नहीं|केवल|सिर्फ|बस |असमर्थ|(?:पता|मालूम|समझ|समझा|जानता|जानती) नहीं"
    r"|समझ में नहीं|संभव नहीं|जानकारी नहीं|नहीं (?:आया|आई)",
}
NOT_UNDERSTOOD: dict[str, str] = {
    "en": r"understand|understood|rephras|reword|you mean|unclear|make sense|follow (?:you|that)|another way|try again|differently"
    r"|only (?:tell|answer|describe|say|talk|speak|judge|read|know|report)|not a question|other words|make out",
    "fr": r"compri|comprend|reformul|autrement|clair",
    "es": r"entiend|entend|comprend|reformul|otra manera|claro",
    "de": r"versteh|verstand|umformul|anders|unklar",
    "zh": r"明白|听懂|不懂|理解|看懂|换个说法",
    "hi": r"समझ|स्पष्ट",
}
PHOTO: dict[str, str] = {
    "en": r"photo|picture|image|still|single (?:frame|moment)|one (?:moment|frame)|snapshot",
    "fr": r"photo|image|instant|cliche",
    "es": r"foto|imagen|instante",
    "de": r"foto|bild|aufnahme|moment|augenblick",
    "zh": r"照片|图片|图像|一张|静态|相片",
    "hi": r"फोटो|तस्वीर|चित्र|छवि",
}
ONE_MOMENT = r"single|one moment|one frame|moment only|seul instant|un instant|un solo|einzig|einen (?:moment|augenblick)|一瞬间|一个瞬间|एक ही|एक पल"

CHANGES: dict[str, str] = {
    "en": r"\b(?:chang\w*|shift\w*|turns?|turned|turning|switch\w*|evolv\w*|becom\w*|became|var(?:y|ies)|goes from|moves from|from \w+ to)\b",
    "fr": r"\b(?:chang\w*|evolu\w*|passe|devien\w*|vari\w*|bascul\w*)\b",
    "es": r"\b(?:cambi\w*|pasa|evolucion\w*|vari\w*|vuelve|convierte)\b",
    "de": r"\b(?:\w*ander\w*|wechsel\w*|wandel\w*|wird|geht .*uber|veranderung\w*)\b",
    "zh": r"变|變|转为|转成",
    "hi": r"बदल|परिवर्तन",
}
CONSTANT: dict[str, str] = {
    "en": r"\b(?:same|constant\w*|steady|stead\w*|stable|stays?|stayed|remain\w*|throughout|unchanged|consistent\w*|all along|keeps)\b",
    "fr": r"\b(?:meme|constant\w*|stable\w*|reste\w*|inchang\w*|tout au long|du debut a la fin)\b",
    "es": r"\b(?:mism[oa]s?|constante\w*|estable\w*|permanece\w*|mantiene\w*|igual|todo el)\b",
    "de": r"\b(?:gleich\w*|konstant\w*|stabil\w*|bleib\w*|unverandert\w*|durchgehend\w*|gesamten?|ganzen?)\b",
    "zh": r"一直|始终|保持|不变|没有?变|未变|稳定|相同|没有?(?:什么)?(?:改变|变化)",
    "hi": r"एक जैस|समान|स्थिर|वही|बना रह|बनी रह|एक ही|पूरे",
}
NO_CHANGE: dict[str, str] = {
    "en": r"(?:\bnot|n't|\bno|\bwithout|never|hardly)\s+(?:\w+\s+){0,3}(?:chang|shift|turn|switch|evolv|var)|unchang",
    "fr": r"ne (?:\w+\s+){0,2}(?:chang|evolu|vari)\w* (?:pas|guere)|pas (?:\w+\s+){0,3}(?:chang|evolu)|aucun\w* chang|inchang",
    "es": r"\bno (?:\w+\s+){0,3}(?:cambi|vari|evolucion)|sin cambi|ningun cambi",
    "de": r"ander\w* sich (?:\w+\s+){0,3}nicht|nicht (?:\w+\s+){0,3}\w*ander|kein\w* (?:\w+\s+){0,2}(?:\w*ander|wechsel)|unverandert",
    "zh": r"(?:不|没有|没|未|无)[^,。]{0,5}(?:变|變)",
    "hi": r"(?:बदल|परिवर्तन)[^,।]{0,14}नहीं|नहीं[^,।]{0,6}बदल|बिना बदल",
}
NOT_CONSTANT: dict[str, str] = {
    "en": r"(?:\bnot|n't)\s+(?:\w+\s+){0,3}(?:same|constant|stead|stable|stay|remain|consistent)",
    "fr": r"pas (?:\w+\s+){0,3}(?:meme|constant|stable)|ne reste\w* pas",
    "es": r"\bno (?:\w+\s+){0,4}(?:mism|constante|estable|permanece|mantiene|igual)",
    "de": r"nicht (?:\w+\s+){0,3}(?:gleich|konstant|stabil)|bleibt (?:\w+\s+){0,2}nicht",
    "zh": r"不是一直|并不稳定|不稳定|不相同",
    "hi": r"(?:एक जैस|समान|स्थिर|वही)[^,।]{0,12}नहीं",
}

POSITIVE: dict[str, str] = {
    "en": r"\b(?:positive\w*|good|pleasant\w*|upbeat|favou?rable)\b",
    "fr": r"\b(?:positi\w*|bon|bonne|agreable\w*)\b",
    "es": r"\b(?:positiv\w*|buen\w*|agradable\w*)\b",
    "de": r"\b(?:positiv\w*|gut\w*|angenehm\w*)\b",
    "zh": r"正面|积极|正向|(?<!不)好",
    "hi": r"सकारात्मक|अच्छ",
}
NEGATIVE: dict[str, str] = {
    "en": r"\b(?:negative\w*|bad|unpleasant\w*)\b",
    "fr": r"\b(?:negati\w*|mauvais\w*|desagreable\w*)\b",
    "es": r"\b(?:negativ\w*|mal\w?|desagradable\w*)\b",
    "de": r"\b(?:negativ\w*|schlecht\w*|unangenehm\w*)\b",
    "zh": r"负面|消极|负向|不好|坏",
    "hi": r"नकारात्मक|बुर[ाीे]|खराब",
}
NEITHER: dict[str, str] = {
    "en": r"neither|neutral|mixed|ambiguous|\beither\b|\bboth\b|in between|not clearly|\bopen\b|depend|nor\b",
    "fr": r"\bni\b|neutr|les deux|ambigu|mitig|depend",
    "es": r"\bni\b|neutr|ambos|ambigu|depend|mixt",
    "de": r"weder|neutral|beides|gemischt|mehrdeutig|sowohl|offen|nicht eindeutig",
    "zh": r"中性|中立|既不|都不|两者|不明确|都有可能|都可能",
    "hi": r"न तो|ना तो|तटस्थ|दोनों|मिला|स्पष्ट नहीं",
}

SURE: dict[str, str] = {
    "en": r"\b(?:sure|certain|confident|confidence|clear|clearly|convinced)\b",
    "fr": r"\b(?:sure?s?|certaine?s?|confian\w*|nettement|convaincu\w*|clair\w*)\b",
    "es": r"\b(?:segur\w*|confianza|certeza|convencid\w*|clar[oa]\w*)\b",
    "de": r"\b(?:sicher\w*|gewiss|uberzeugt|deutlich|eindeutig)\b",
    "zh": r"确定|肯定|有把握|把握|明显|信心",
    "hi": r"यकीन|निश्चित|पक्का|आश्वस्त|भरोसा|विश्वास",
}
UNSURE: dict[str, str] = {
    "en": r"(?:\bnot|n't|\bless than)\s+(?:\w+\s+){0,3}(?:sure|certain|confident|clear|convinced)|unsure|uncertain|\bguess|doubt|tentative"
    r"|moderate|somewhat|low confidence|little confidence",
    "fr": r"pas (?:\w+\s+){0,3}(?:sur|certain|convaincu)|incertain|hesit|doute|peu (?:sur|certain)|moyennement",
    "es": r"\bno (?:\w+\s+){0,4}(?:segur|certeza|convencid)|insegur|duda|poc[oa] segur|poca",
    "de": r"nicht (?:\w+\s+){0,3}(?:sicher|uberzeugt|eindeutig)|unsicher|zweifel|massig|wenig sicher",
    "zh": r"不(?:太|是很|很|能|完全|大)?(?:确定|肯定)|没(?:有)?(?:太大|多大)?把握|把握不大",
    "hi": r"(?:यकीन|निश्चित|पक्का|आश्वस्त|भरोसा)[^,।]{0,10}नहीं|अनिश्चित|शक",
}

GREETING: dict[str, str] = {
    "en": r"\b(?:hello|hi|hey|greetings|good (?:morning|afternoon|evening|day)|welcome|nice to|how can i help|ask me)\b",
    "fr": r"\b(?:bonjour|salut|bonsoir|coucou|bienvenue|enchante)",
    "es": r"\b(?:hola|buen[oa]s|saludos|bienvenid|encantad)",
    "de": r"\b(?:hallo|guten|hi|servus|gruss|willkommen|moin)",
    "zh": r"你好|您好|嗨|欢迎",
    "hi": r"नमस्त|नमस्कार|स्वागत|हैलो|हेलो",
}
THANKS: dict[str, str] = {
    "en": r"welcome|pleasure|glad|happy to|no problem|no worries|any ?time|mention it|bye|see you|take care|thank|cheers",
    "fr": r"de rien|plaisir|vous en prie|t'en prie|au revoir|bientot|avec joie|merci",
    "es": r"de nada|placer|gusto|adios|hasta|gracias|encantad",
    "de": r"gern|bitte|zu danken|tschuss|wiedersehen|freut|keine ursache|danke",
    "zh": r"不客气|不用谢|再见|乐意|没关系|谢谢|不谢",
    "hi": r"स्वागत|कोई बात नहीं|खुशी|अलविदा|धन्यवाद|शुक्रिया|फिर मिल",
}
ABOUT_WHAT = (
    r"\b(?:model|program\w*|assistant\w*|tool|ai|software|system|bot|modele|outil|ia|logiciel|modelo|herramienta|asistente|modell"
    r"|programm|assistent|ki|werkzeug)\b|emo-?llama|模型|程序|助手|工具|人工智能|मॉडल|प्रोग्राम|सहायक|टूल"
)
ABOUT_TASK = r"face|emotion|expression|feeling|visage|cara|rostro|emocion|gesicht|gefuhl|ausdruck|脸|面部|表情|情绪|情感|चेहर|भाव"

FUNCTION_WORDS: dict[str, str] = {
    "en": "the a an is it this that face looks look seems of and i not to in with my as are you but can cannot only what",
    "fr": "le la les un une est ce cette visage et je ne pas de du des il elle sur que semble l'air a plus pour en",
    "es": "el la los las un una es esta este cara rostro y no se de del que parece por muy con yo mas en lo solo",
    "de": "das der die den ein eine ist es dieses gesicht und ich nicht zu im wirkt sieht aus auf von mir nur mit am sich",
}

PERCENT = re.compile(
    r"百分之\s*(?P<zh>\d+(?:\.\d+)?)|(?P<n>\d+(?:[.,]\d+)?)\s*(?:%|٪|per ?cent|pour ?cent|por ciento|prozent|प्रतिशत|फीसदी)"
)
BELOW_BEFORE = (
    r"(?:below|under|less than|fewer than|at most|no more than|<|moins d[eu]|en dessous de|sous|inferieur\w* a|menos de[l]?|por debajo de[l]?"
    r"|inferior al?|unter|weniger als|hochstens|低于|不到|少于|小于|不足|不超过)\s*(?:\w+\s+)?$"
)
BELOW_AFTER = r"^\s*(?:以下|से (?:भी )?(?:कम|नीचे))"

AGE_GROUPS: tuple[tuple[int, int, str], ...] = (
    (
        0,
        12,
        r"\bchild|\bkids?\b|\bbab(?:y|ies)\b|infant|toddler|enfant|bebe|\bnin[oa]s?\b|\bkind(?:er|es)?\b|儿童|孩子|小孩|婴儿|बच्च|शिशु",
    ),
    (10, 19, r"\bteen|adolescen|jugendlich|青少年|少年|किशोर"),
    (15, 39, r"\byoung|\bjeune|\bjoven|\bjung|年轻|青年|युवा|जवान"),
    (18, 120, r"\badult|erwachsen|(?<!未)成年|成人|वयस्क"),
    (35, 64, r"middle[- ]aged?|age mur|mediana edad|mittler\w* alter|中年|अधेड"),
    (
        60,
        120,
        r"elderly|senior|old person|\bancian|personne agee|persona mayor|altere[rn]? (?:mensch|person)|老年|老人|वृद्ध|बुजुर्ग|बूढ",
    ),
)
DECADES: tuple[tuple[int, str], ...] = (
    (20, r"twenties|vingtaine|\bvein|zwanzig|二十|बीस"),
    (30, r"thirties|trentaine|treint|dreissig|三十|तीस"),
    (40, r"forties|quarantaine|cuarent|vierzig|四十|चालीस"),
    (50, r"fifties|cinquantaine|cincuent|funfzig|五十|पचास"),
    (60, r"sixties|soixantaine|sesent|sechzig|六十|साठ"),
    (70, r"seventies|soixante-dix|setent|siebzig|七十|सत्तर"),
)


class Mention(NamedTuple):
    """A place where the answer names an emotion or an offered word."""

    label: str
    start: int
    end: int
    negated: bool


class Percentage(NamedTuple):
    """A percentage in the answer, and whether it is an upper bound."""

    value: float
    start: int
    end: int
    below: bool


def normal(text: str) -> str:
    """Lower the case and drop accents and nuktas."""
    text = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "oe").replace("’", "'"))
    text = re.sub("[\u0300-\u036f\u093c\u200b-\u200d\ufeff]", "", text)
    return text.casefold()


def found(patterns: Mapping[str, str] | str, text: str, language: str = "") -> re.Match[str] | None:
    """Search the pattern of the language in a normal text."""
    pattern = patterns if isinstance(patterns, str) else patterns[language]
    return re.search(normal(pattern), text)


def is_negated(text: str, start: int, end: int, language: str) -> bool:
    """Say whether the words between start and end stand under a negation in their clause."""
    text = re.sub(r"anything but|everything but|far from", lambda match: "not".ljust(len(match[0])), text)
    before = re.split(normal(CLAUSE_END), text[:start])[-1]
    after = re.split(normal(CLAUSE_END), text[end:])[0]
    return bool(found(NEGATION_BEFORE, before, language) or found(NEGATION_AFTER, after, language))


def mentions(text: str, language: str, words: Mapping[str, str] | None = None) -> list[Mention]:
    """List the emotions that a normal text names, in order."""
    text = re.sub(normal(COURTESY), lambda match: "_" * len(match[0]), text)
    hits: list[Mention] = []
    for label, pattern in (words or WORDS[language]).items():
        for match in re.finditer(normal(pattern), text):
            hits.append(Mention(label, *match.span(), is_negated(text, *match.span(), language)))
    return sorted(hits, key=lambda hit: hit.start)


def affirmed(text: str, language: str) -> list[str]:
    """List the emotions that a normal text names without negation, in order, each once."""
    return list(dict.fromkeys(hit.label for hit in mentions(text, language) if not hit.negated))


def percentages(text: str) -> list[Percentage]:
    """List the percentages of a normal text."""
    numbers: list[Percentage] = []
    for match in PERCENT.finditer(text):
        value = float((match["zh"] or match["n"]).replace(",", "."))
        before, after = text[max(0, match.start() - 40) : match.start()], text[match.end() : match.end() + 20]
        below = bool(re.search(normal(BELOW_BEFORE), before) or re.search(normal(BELOW_AFTER), after))
        numbers.append(Percentage(value, *match.span(), below))
    return numbers


def ranking(result: Mapping) -> list[str]:
    """Sort the emotions by their scores, the likeliest first, with the model's own choice in front."""
    return sorted(LABELS, key=lambda label: (label != result["emotion"], -result["scores"].get(label, 0.0)))


def percent_of(label: str, result: Mapping) -> float:
    """Give the measured percentage of an emotion."""
    return 100.0 * result["scores"].get(label, 0.0)


def percentages_fit(text: str, result: Mapping) -> bool:
    """Say whether every plain percentage is within 3 of some measured one."""
    measured = [percent_of(label, result) for label in LABELS]
    return all(
        number.below or number.value == 100 or min(abs(number.value - value) for value in measured) <= 3.0
        for number in percentages(text)
    )


def in_language(answer: str, language: str) -> bool:
    """Say whether the answer is written in the language."""
    letters = [char for char in answer if char.isalpha() or unicodedata.category(char) in ("Mn", "Mc")]
    if not letters:
        return False
    chinese = sum("\u3400" <= char <= "\u9fff" for char in letters) / len(letters)
    hindi = sum("\u0900" <= char <= "\u097f" for char in letters) / len(letters)
    if language == "zh":
        return chinese >= 0.5
    if language == "hi":
        return hindi >= 0.5
    if chinese + hindi > 0.05:
        return False
    tokens = re.findall(r"[a-z']+", normal(answer))
    if len(tokens) < 4:
        return True
    counts = {name: sum(token in words.split() for token in tokens) for name, words in FUNCTION_WORDS.items()}
    return counts[language] == max(counts.values()) and (counts[language] > 0 or len(tokens) < 6)


def well_formed(answer: str) -> bool:
    """Say whether the answer is one sentence or two and not gibberish."""
    text = answer.strip()
    if not text or len(text) > 500 or "\ufffd" in text or re.search(r"<\|?\w+\|?>", text):
        return False
    tokens = normal(text).split()
    if any(tokens[i] == tokens[i + 1] == tokens[i + 2] for i in range(len(tokens) - 2)):
        return False
    if any(tokens[i : i + 3] == tokens[i + 3 : i + 6] for i in range(len(tokens) - 5)):
        return False
    if re.search(r"([^\d\s.])\1{4,}", text) or any(len(token) > 40 for token in re.findall(r"[a-z]+", normal(text))):
        return False
    sentences = [part for part in re.split(r"[.!?]+(?=\s|$)|[。！？।]+", text) if part.strip(" \n\t\"'*”»)")]
    if len(sentences) > 1 and len(sentences[0].split()) <= 2 and len(sentences[0].strip()) <= 14:
        sentences = sentences[1:]
    return len(sentences) <= 2


def only_emotion(text: str, language: str, allowed: list[str], result: Mapping) -> bool:
    """Say whether the text affirms one of the allowed emotions first, and others only as a stated second guess."""
    hits = [hit for hit in mentions(text, language) if not hit.negated]
    if not hits or hits[0].label not in allowed:
        return False
    if result.get("changes") and found(CHANGES, text, language):
        allowed = [*allowed, *(label for label in (result.get("first"), result.get("last")) if label)]
    behind = ranking(result)[1:3]
    for hit in hits[1:]:
        if hit.label in allowed:
            continue
        stated = found(SECOND_GUESS, text[hits[0].end :], language) or PERCENT.search(text[hit.end : hit.end + 25])
        if hit.label not in behind or not stated:
            return False
    return True


def opening(text: str, language: str) -> bool | None:
    """Read a yes (True) or a no (False) at the start of a normal text, or anywhere if clear there."""
    text = text.lstrip(" \"'*«“¡¿")
    yes, no = re.match(normal(YES[language]), text), re.match(normal(NO[language]), text)
    if yes or no:
        return bool(yes)
    if language in ("zh", "hi"):
        return None
    plain = {"en": (r"\byes\b", r", no\b"), "fr": (r"\boui\b", r"\bnon\b"), "de": (r"\bja\b", r"\bnein\b")}
    yes_word, no_word = plain.get(language, (r"\bsi,", r", no\b"))
    yes, no = re.search(yes_word, text), re.search(no_word, text)
    return None if bool(yes) == bool(no) else bool(yes)


def stated(text: str, language: str, asked: str, result: Mapping) -> bool | None:
    """Say whether the content affirms (True) or denies (False) the asked emotion; None if it contradicts or is silent."""
    named = mentions(text, language)
    yes = any(hit.label == asked and not hit.negated for hit in named)
    no = any(hit.label == asked and hit.negated for hit in named)
    others = [hit.label for hit in named if not hit.negated and hit.label != asked]
    if yes and no:
        return None
    if yes:
        return True if only_emotion(text, language, [asked], result) else None
    if others:
        return False if only_emotion(text, language, [result["emotion"]], result) else None
    return False if no else None


def is_refusal(text: str, language: str, result: Mapping) -> bool:
    """Say whether the text declines, and names no emotion except the measured one after that."""
    match = found(REFUSAL, text, language)
    if not match or opening(text, language) is True:
        return False
    hits = [hit for hit in mentions(text, language) if not hit.negated]
    return all(hit.label == result["emotion"] and hit.start > match.start() for hit in hits)


def tells_photo(text: str, language: str) -> bool:
    """Say whether the text tells that a photo shows no change."""
    declines = found(REFUSAL, text, language) or found(ONE_MOMENT, text) or found(NO_CHANGE, text, language)
    return bool(found(PHOTO, text, language) and declines)


def emotion_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The measured emotion, and no other one unless stated as a second guess."""
    return only_emotion(text, item["language"], [result["emotion"]], result)


def reason_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The measured emotion together with what people read in a face."""
    language = item["language"]
    return only_emotion(text, language, [result["emotion"]], result) and bool(found(FEATURES, text, language))


def yes_no_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """A yes or a no that agrees with the measured emotion; the content alone counts for negated questions and claims."""
    language, expected = item["language"], item["asked"] == result["emotion"]
    said, content = opening(text, language), stated(text, language, item["asked"], result)
    named = bool(affirmed(text, language))
    if content is None and named:
        return False
    if item.get("mode") == "content":
        return content is expected
    return expected in (said, content) and (not expected) not in (said, content)


def other_than_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """A yes if the measured emotion differs from the asked one, in agreement with the content."""
    language, other = item["language"], item["asked"] != result["emotion"]
    said, content = opening(text, language), stated(text, language, item["asked"], result)
    if content is None and affirmed(text, language):
        return False
    if content is not None and content is other:
        return False
    return said is other or (said is None and content is not None)


def either_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The better option, or neither and the measured emotion if that is not offered."""
    language, options = item["language"], item["options"]
    best = max(options, key=lambda label: (label == result["emotion"], result["scores"].get(label, 0.0)))
    named = affirmed(text, language)
    if result["emotion"] in options:
        return only_emotion(text, language, [best], result) and not set(named) & (set(options) - {best})
    return bool(named) and set(named) <= {best, result["emotion"]}


def not_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """An emotion of low score that the face does not show; the measured one is not denied."""
    hits = mentions(text, item["language"])
    if any(hit.label == result["emotion"] and hit.negated for hit in hits):
        return False
    others = {hit.label for hit in hits if hit.label != result["emotion"]}
    if not found(NEGATION_BEFORE, text, item["language"]) and not others:
        return False
    return bool(others) and all(result["scores"].get(label, 0.0) < 0.25 for label in others)


def second_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The second emotion (or one of nearly the same score), and beside it only the first."""
    order = ranking(result)
    named = affirmed(text, item["language"])
    near = {label for label in order[1:] if percent_of(order[1], result) - percent_of(label, result) <= 1.0}
    seconds = [label for label in named if label != result["emotion"]]
    return len(seconds) == 1 and seconds[0] in near and percentages_fit(text, result)


def ranking_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """Three emotions in the order of their scores, each with its percentage."""
    order, numbers = ranking(result)[:3], percentages(text)
    named = list(dict.fromkeys(hit.label for hit in mentions(text, item["language"])))
    if len(named) != 3 or len(numbers) != 3:
        return False
    for label, place, number in zip(named, order, numbers, strict=False):
        if label != place and abs(percent_of(label, result) - percent_of(place, result)) > 1.0:
            return False
        measured = percent_of(label, result)
        if not (measured <= number.value + 0.5 <= 5.5 if number.below else abs(number.value - measured) <= 3.0):
            return False
    return True


def percent_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The percentage of the asked emotion within 3, or a bound if it is none of the three likeliest."""
    numbers, asked = percentages(text), item["asked"]
    if not numbers:
        return False
    places = [hit.start for hit in mentions(text, item["language"]) if hit.label == asked]
    nearest = min(numbers, key=lambda number: min((abs(number.start - place) for place in places), default=0))
    measured, third = percent_of(asked, result), percent_of(ranking(result)[2], result)

    def fits(number: Percentage) -> bool:
        if not number.below:
            return abs(number.value - measured) <= 3.0
        return measured <= number.value + 0.5 and number.value <= max(third + 3.0, 5.0)

    return (fits(numbers[0]) or fits(nearest)) and percentages_fit(text, result)


def certainty_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The percentage of the measured emotion within 3, or words of certainty that suit it."""
    language, top = item["language"], percent_of(result["emotion"], result)
    if affirmed(text, language) and not only_emotion(text, language, [result["emotion"]], result):
        return False
    numbers = percentages(text)
    if numbers:
        return any(abs(number.value - top) <= 3.0 for number in numbers) and percentages_fit(text, result)
    if found(UNSURE, text, language):
        return top < 80.0
    return (top >= 50.0 and bool(found(SURE, text, language))) or (top >= 75.0 and opening(text, language) is True)


def one_word_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """One word (two where the language needs them) for the measured emotion."""
    bare = text.strip(" \n\t.!?。！।\"'*`«»“”")
    limit = {"en": 1, "de": 1}.get(item["language"], 2)
    short = len(bare) <= 4 if item["language"] == "zh" else len(bare.split()) <= limit
    return short and affirmed(bare, item["language"]) == [result["emotion"]]


def valence_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """Positive, negative or neither, after the measured emotion."""
    language, emotion = item["language"], result["emotion"]
    expected = {"happy": "positive", "neutral": "neither", "surprised": "neither"}.get(emotion, "negative")
    hits = mentions(text, language, {"positive": POSITIVE[language], "negative": NEGATIVE[language]})
    sides = {hit.label for hit in hits if not hit.negated}
    if affirmed(text, language) and not only_emotion(text, language, [emotion, "neutral"], result):
        return False
    polar, said = item.get("polar"), opening(text, language) if item.get("polar") else None
    if said is not None and said is not (expected == polar):
        return False
    if expected == "neither":
        denied = {hit.label for hit in hits if hit.negated}
        return (
            bool(found(NEITHER, text, language))
            or len(sides) == 2
            or len(denied) == 2
            or (said is False and not sides)
        )
    if sides:
        return sides == {expected} or (said is not None and emotion in affirmed(text, language) and expected in sides)
    return said is not None


def age_range(text: str) -> tuple[int, int] | None:
    """Read an age group such as "20-29", "more than 70" or "young adult"."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if len(numbers) >= 2:
        return numbers[0], numbers[1]
    if len(numbers) == 1:
        if re.search(r"\+|more|over|older|above|plus", text):
            return numbers[0], 120
        return max(0, numbers[0] - 5), numbers[0] + 5
    groups = [(low, high) for low, high, pattern in AGE_GROUPS if re.search(normal(pattern), text)]
    if not groups:
        return None
    return max(low for low, _ in groups), max(max(low for low, _ in groups), min(high for _, high in groups))


def age_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """Numbers or words that lie in the measured age group; a refusal if none was measured."""
    if not result.get("age"):
        return is_refusal(text, item["language"], result)
    span = age_range(normal(str(result["age"])))
    if span is None:
        return normal(str(result["age"])) in text
    low, high = span
    plain = PERCENT.sub(" ", text)
    years = [int(number) for number in re.findall(r"\d+", plain)]
    years += [decade for decade, pattern in DECADES if re.search(normal(pattern), plain)]
    groups = [(start, end) for start, end, pattern in AGE_GROUPS if re.search(normal(pattern), plain)]
    if not years and not groups:
        return False
    if not all(low - 1 <= year <= high + 1 for year in years):
        return False
    return bool(years) or all(start <= high and low <= end for start, end in groups)


def moved(text: str, language: str) -> bool | None:
    """Say whether the text tells that the expression changes (True) or stays (False)."""
    if found(NOT_CONSTANT, text, language):
        return True
    if found(NO_CHANGE, text, language):
        return False
    change, same = found(CHANGES, text, language), found(CONSTANT, text, language)
    if change and same:
        return change.start() < same.start()
    if change or same:
        return bool(change)
    return None


def change_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """Whether the expression of a clip changes, from what to what; a photo cannot show it."""
    language = item["language"]
    if item["visual"] == "photo":
        return tells_photo(text, language) and set(affirmed(text, language)) <= {result["emotion"]}
    changes = bool(result["changes"])
    first, last = result.get("first") or result["emotion"], result.get("last") or result["emotion"]
    polar = item.get("polar")
    said = opening(text, language) if polar else None
    if said is not None and said is not (changes is (polar == "changes")):
        return False
    told = moved(text, language)
    if told is None and said is not None:
        told = changes
    named = affirmed(text, language)
    if told is None and len(named) == 2:
        told = True
    if told is not changes or not set(named) <= {first, last, result["emotion"]}:
        return False
    if changes and first != last and first in named and last in named and named.index(first) > named.index(last):
        return False
    return not (item.get("detail") and changes and not {first, last} <= set(named))


def edge_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The emotion at the start or at the end of a clip; a photo has neither."""
    language = item["language"]
    named = affirmed(text, language)
    if item["visual"] == "photo":
        return tells_photo(text, language) and set(named) <= {result["emotion"]}
    first, last = result.get("first") or result["emotion"], result.get("last") or result["emotion"]
    if item["expects"] == "begin":
        return bool(named) and named[0] == first and set(named) <= {first, last}
    return last in named and set(named) <= {first, last}


def choice_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """The offered word for the measured emotion; if none is offered, none of them or the best of them."""
    language, labels = item["language"], item["labels"]
    latin = language not in ("zh", "hi")
    words = {word: (rf"\b{re.escape(word)}\w{{0,3}}\b" if latin else re.escape(word)) for word in labels}
    chosen = {labels[hit.label] for hit in mentions(text, language, words) if not hit.negated}
    if result["emotion"] in labels.values():
        return chosen == {result["emotion"]} and set(affirmed(text, language)) <= {result["emotion"]}
    best = max(labels.values(), key=lambda label: result["scores"].get(label, 0.0))
    if chosen:
        return chosen == {best} and set(affirmed(text, language)) <= {best, result["emotion"]}
    none = {
        "en": r"\bnone\b|neither|not (?:any|one|among)",
        "fr": r"aucun",
        "es": r"ningun",
        "de": r"kein",
        "zh": r"都不",
        "hi": r"नहीं",
    }
    named = affirmed(text, language)
    return set(named) <= {result["emotion"]} and bool(named or found(none, text, language))


def refusal_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """An honest word that it cannot or does not do that."""
    return is_refusal(text, item["language"], result)


def not_understood_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """An honest word that the question was not understood."""
    return bool(found(NOT_UNDERSTOOD, text, item["language"])) and not affirmed(text, item["language"])


def greeting_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """A greeting."""
    return bool(found(GREETING, text, item["language"])) and not is_refusal(
        text.split(".")[0], item["language"], result
    )


def thanks_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """A polite answer to thanks or to a farewell."""
    return bool(found(THANKS, text, item["language"]))


def about_rule(item: Mapping, text: str, result: Mapping) -> bool:
    """What the model is and what it does."""
    return bool(found(ABOUT_WHAT, text) and found(ABOUT_TASK, text))


RULES: dict[str, Callable[[Mapping, str, Mapping], bool]] = {
    "emotion": emotion_rule,
    "reason": reason_rule,
    "yes_no": yes_no_rule,
    "other_than": other_than_rule,
    "either": either_rule,
    "not": not_rule,
    "second": second_rule,
    "ranking": ranking_rule,
    "percent": percent_rule,
    "certainty": certainty_rule,
    "one_word": one_word_rule,
    "valence": valence_rule,
    "age": age_rule,
    "change": change_rule,
    "begin": edge_rule,
    "end": edge_rule,
    "choice": choice_rule,
    "refusal": refusal_rule,
    "not_understood": not_understood_rule,
    "greeting": greeting_rule,
    "thanks": thanks_rule,
    "about": about_rule,
}
WITH_PERCENTAGES = (
    "emotion",
    "reason",
    "yes_no",
    "other_than",
    "either",
    "not",
    "valence",
    "change",
    "begin",
    "end",
    "choice",
)


def json_relevant(item: Mapping, answer: str, result: Mapping) -> bool:
    """Say whether the answer is a JSON object, with little around it, whose "emotion" is right."""
    start, end = answer.find("{"), answer.rfind("}")
    if start < 0 or end < start or len((answer[:start] + answer[end + 1 :]).strip()) > 80:
        return False
    try:
        content = json.loads(answer[start : end + 1])
    except json.JSONDecodeError:
        return False
    if not isinstance(content, dict):
        return False
    values = {str(key).casefold(): value for key, value in content.items()}
    if not isinstance(values.get("emotion"), str):
        return False
    emotion = normal(values["emotion"])
    if not any(affirmed(emotion, language) == [result["emotion"]] for language in {"en", item["language"]}):
        return False
    for key in ("confidence", "probability", "score", "percent", "percentage"):
        value = values.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            share = 100.0 * value if value <= 1.0 else value
            if abs(share - percent_of(result["emotion"], result)) > 3.0:
                return False
    return True


def relevant(item: dict, answer: str, result: dict) -> bool:
    """Say whether the answer is of the question's kind, fits the measured result and is in the question's language."""
    if item["expects"] == "json":
        return json_relevant(item, answer, result)
    if not well_formed(answer) or not in_language(answer, item["language"]):
        return False
    text = normal(answer.strip())
    if item["expects"] in WITH_PERCENTAGES and not percentages_fit(text, result):
        return False
    return RULES[item["expects"]](item, text, result)


def problems(items: list[dict]) -> list[str]:
    """List what the items lack for their rules."""
    faults: list[str] = []
    seen: set[str] = set()
    for item in items:
        name = str(item.get("id"))
        if not item.get("id") or name in seen:
            faults.append(f"{name}: id missing or used twice")
        seen.add(name)
        if item.get("language") not in LANGUAGES or item.get("visual") not in VISUALS or not item.get("kind"):
            faults.append(f"{name}: language, visual or kind is wrong")
        turns = item.get("turns")
        if bool(item.get("question")) == bool(turns):
            faults.append(f"{name}: needs either a question or turns")
        if turns is not None and (not isinstance(turns, list) or len(turns) < 2 or not all(turns)):
            faults.append(f"{name}: turns need two questions or more")
        if item.get("expects") not in NEEDS:
            faults.append(f"{name}: unknown rule {item.get('expects')}")
            continue
        faults += [f"{name}: lacks {key}" for key in NEEDS[item["expects"]] if not item.get(key)]
        named = [item.get("asked"), *item.get("options", []), *item.get("labels", {}).values()]
        faults += [f"{name}: unknown emotion {label}" for label in named if label and label not in LABELS]
        if len(item.get("options", ["", ""])) < 2 or len(item.get("labels", {"": "", " ": ""})) < 2:
            faults.append(f"{name}: too few to choose from")
    return faults


HAPPY: dict = {
    "emotion": "happy",
    "scores": {
        "happy": 0.81,
        "surprised": 0.1,
        "neutral": 0.06,
        "sad": 0.01,
        "angry": 0.01,
        "afraid": 0.005,
        "disgusted": 0.005,
    },
    "changes": False,
    "first": None,
    "last": None,
    "age": "20-29",
}
ANGRY: dict = {
    "emotion": "angry",
    "scores": {
        "angry": 0.47,
        "disgusted": 0.31,
        "sad": 0.12,
        "neutral": 0.06,
        "afraid": 0.02,
        "surprised": 0.01,
        "happy": 0.01,
    },
    "changes": True,
    "first": "neutral",
    "last": "angry",
    "age": None,
}


def case(expects: str, language: str = "en", visual: str = "photo", **needs: object) -> dict:
    """Build an item for the self-check."""
    return {
        "id": "check",
        "language": language,
        "visual": visual,
        "kind": "check",
        "question": "?",
        "expects": expects,
        **needs,
    }


CLIP = "changing_clip"
GOOD: list[tuple[dict, str, dict]] = [
    (case("emotion"), "The face looks happy.", HAPPY),
    (case("emotion"), "It looks happy (81%), with surprise as a second guess.", HAPPY),
    (case("emotion"), "This person seems angry rather than sad.", ANGRY),
    (case("emotion", visual=CLIP), "The expression turns from neutral to angry.", ANGRY | {"emotion": "neutral"}),
    (case("reason"), "People usually read lowered brows and tight lips as anger.", ANGRY),
    (case("yes_no", asked="happy"), "Yes, the face looks happy.", HAPPY),
    (case("yes_no", asked="sad"), "No, it looks happy.", HAPPY),
    (case("yes_no", asked="sad"), "It does not look sad but happy.", HAPPY),
    (case("yes_no", asked="sad", mode="content"), "Right, it does not look sad.", HAPPY),
    (case("yes_no", asked="sad", mode="content"), "I would rather say happy.", HAPPY),
    (case("other_than", asked="happy"), "No, happy is what it looks like.", HAPPY),
    (case("other_than", asked="happy"), "Yes, it looks angry.", ANGRY),
    (case("either", options=["happy", "sad"]), "Happy rather than sad.", HAPPY),
    (case("either", options=["afraid", "sad"]), "Neither: it looks happy.", HAPPY),
    (case("not"), "It is certainly not afraid.", HAPPY),
    (case("not"), "Least likely is sadness; the face looks happy.", HAPPY),
    (case("second"), "My second guess is surprise, at 10%.", HAPPY),
    (case("ranking"), "Happy 81%, surprised 10%, neutral 6%.", HAPPY),
    (case("percent", asked="surprised"), "About 10% for surprise.", HAPPY),
    (case("percent", asked="sad"), "Sad is below 6%.", HAPPY),
    (case("certainty"), "Fairly sure: 81%.", HAPPY),
    (case("certainty"), "Not very sure, it may be a close call.", ANGRY),
    (case("json"), '{"emotion": "happy", "confidence": 0.81}', HAPPY),
    (case("one_word"), "Happy.", HAPPY),
    (case("valence"), "Positive: the face looks happy.", HAPPY),
    (case("valence", polar="positive"), "No, it looks angry.", ANGRY),
    (case("age"), "The face looks like someone in their twenties.", HAPPY),
    (case("age"), "About 20 to 29 years old.", HAPPY),
    (case("age"), "I cannot tell the age here.", ANGRY),
    (case("change"), "A photo cannot show a change.", HAPPY),
    (case("change", visual=CLIP, polar="changes"), "Yes, it changes from neutral to angry.", ANGRY),
    (case("change", visual=CLIP), "It stays happy all the time and does not change.", HAPPY),
    (case("begin", visual=CLIP), "It begins neutral.", ANGRY),
    (case("end", visual=CLIP), "It ends angry.", ANGRY),
    (case("choice", labels={"cheerful": "happy", "gloomy": "sad"}), "Cheerful.", HAPPY),
    (case("choice", labels={"cheerful": "happy", "gloomy": "sad"}), "Gloomy fits best of these.", ANGRY),
    (case("refusal"), "I'm afraid I cannot see who this is.", HAPPY),
    (case("refusal"), "I only tell how a face looks.", HAPPY),
    (case("not_understood"), "Sorry, I did not understand that.", HAPPY),
    (case("greeting"), "Hello! Ask me how the face looks.", HAPPY),
    (case("thanks"), "You're welcome.", HAPPY),
    (case("about"), "I am a small model that tells which emotion a face shows.", HAPPY),
    (case("emotion", "fr"), "Ce visage semble heureux.", HAPPY),
    (case("yes_no", "fr", asked="sad"), "Non, elle n'a pas l'air triste mais heureuse.", HAPPY),
    (case("refusal", "fr"), "Je ne peux pas dire qui c'est.", HAPPY),
    (case("emotion", "es"), "La cara parece feliz.", HAPPY),
    (case("yes_no", "es", asked="happy"), "Sí, parece contenta.", HAPPY),
    (case("refusal", "es"), "No sé quién es esta persona.", HAPPY),
    (case("either", "de", options=["happy", "sad"]), "Eher glücklich als traurig.", HAPPY),
    (case("refusal", "de"), "Das kann ich nicht erkennen.", HAPPY),
    (case("yes_no", "zh", asked="happy"), "是的，这张脸看起来很高兴。", HAPPY),
    (case("yes_no", "zh", asked="sad"), "不，看起来不是难过，而是高兴。", HAPPY),
    (case("ranking", "zh"), "高兴81%，惊讶10%，中性6%。", HAPPY),
    (case("refusal", "zh"), "我无法知道这个人是谁。", HAPPY),
    (case("yes_no", "hi", asked="sad"), "नहीं, चेहरा खुश लगता है।", HAPPY),
    (case("percent", "hi", asked="sad"), "दुख के लिए 5% से कम।", HAPPY),
    (case("refusal", "hi"), "मैं यह नहीं बता सकता कि यह कौन है।", HAPPY),
]
BAD: list[tuple[dict, str, dict]] = [
    (case("emotion"), "The face looks sad.", HAPPY),
    (case("emotion"), "It looks happy or sad.", HAPPY),
    (case("emotion"), "It does not look happy.", HAPPY),
    (case("emotion"), "I cannot tell.", HAPPY),
    (case("emotion"), "Le visage semble être en colère, happy.", HAPPY),
    (case("emotion"), "Happy happy happy happy.", HAPPY),
    (case("emotion"), "It looks happy, at 40%.", HAPPY),
    (case("reason"), "The face looks angry.", ANGRY),
    (case("reason"), "Wide eyes and raised brows are usually read as surprise.", ANGRY),
    (case("yes_no", asked="happy"), "No, it looks happy.", HAPPY),
    (case("yes_no", asked="sad"), "Yes, it looks happy.", HAPPY),
    (case("yes_no", asked="sad"), "No, it looks angry.", HAPPY),
    (case("yes_no", asked="sad", mode="content"), "Yes, it looks sad.", HAPPY),
    (case("other_than", asked="happy"), "Yes, it looks happy.", HAPPY),
    (case("other_than", asked="happy"), "No, it looks angry.", ANGRY),
    (case("either", options=["happy", "sad"]), "Sad rather than happy.", HAPPY),
    (case("either", options=["afraid", "angry"]), "It looks afraid or angry.", ANGRY),
    (case("not"), "It is not happy.", HAPPY),
    (case("not"), "It looks happy.", HAPPY),
    (case("second"), "The face looks happy.", HAPPY),
    (case("second"), "My second guess is sadness.", HAPPY),
    (case("ranking"), "Surprised 81%, happy 10%, neutral 6%.", HAPPY),
    (case("ranking"), "Happy, surprised and neutral.", HAPPY),
    (case("percent", asked="surprised"), "About 81%.", HAPPY),
    (case("percent", asked="angry"), "Below 90%.", HAPPY),
    (case("certainty"), "Not sure at all.", HAPPY),
    (case("certainty"), "The face looks happy.", HAPPY),
    (case("json"), "The emotion is happy.", HAPPY),
    (case("json"), '{"emotion": "sad"}', HAPPY),
    (case("one_word"), "It looks happy.", HAPPY),
    (case("valence"), "Negative.", HAPPY),
    (case("age"), "Between 50 and 59.", HAPPY),
    (case("age"), "It looks happy.", HAPPY),
    (case("change"), "It stays happy.", HAPPY),
    (case("change", visual=CLIP), "It stays angry throughout.", ANGRY),
    (case("change", visual=CLIP, polar="changes"), "No, it changes from neutral to angry.", ANGRY),
    (case("begin", visual=CLIP), "It begins angry.", ANGRY),
    (case("end", visual=CLIP), "It ends neutral.", ANGRY),
    (case("choice", labels={"cheerful": "happy", "gloomy": "sad"}), "Gloomy.", HAPPY),
    (case("choice", labels={"cheerful": "happy", "gloomy": "sad"}), "Happy.", HAPPY),
    (case("refusal"), "The face looks happy.", HAPPY),
    (case("refusal"), "Yes, she is smiling.", HAPPY),
    (case("refusal"), "She does not look happy but sad.", HAPPY),
    (case("not_understood"), "The face looks happy.", HAPPY),
    (case("greeting"), "The face looks happy.", HAPPY),
    (case("thanks"), "It looks happy.", HAPPY),
    (case("about"), "It looks happy.", HAPPY),
    (case("emotion", "fr"), "The face looks happy.", HAPPY),
    (case("emotion", "zh"), "这张脸看起来不高兴。", HAPPY),
    (case("emotion", "hi"), "चेहरा खुश नहीं लगता है।", HAPPY),
    (case("refusal", "de"), "Das Gesicht wirkt glücklich.", HAPPY),
]


def self_check() -> int:
    """Try the hand-written answers and the items; print what is wrong and return how much that is."""
    wrong = 0
    for expected, cases in ((True, GOOD), (False, BAD)):
        for item, answer, result in cases:
            if relevant(item, answer, result) is not expected:
                wrong += 1
                print(f"{item['expects']} ({item['language']}): {answer!r} should be {expected}")
    path = Path(__file__).with_name("held_out_questions.json")
    if path.exists():
        faults = problems(json.loads(path.read_text(encoding="utf-8")))
        wrong += len(faults)
        print("\n".join(faults) or "every item has what its rule needs")
    print(f"{len(GOOD)} good and {len(BAD)} bad answers tried, {wrong} faults")
    return wrong


if __name__ == "__main__":
    raise SystemExit(1 if self_check() else 0)

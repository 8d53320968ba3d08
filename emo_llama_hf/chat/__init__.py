"""`pipeline("emotion-chat")`: what users give it, what it answers, and how that is drawn."""

"""The command line `emo-llama`: one file a command."""

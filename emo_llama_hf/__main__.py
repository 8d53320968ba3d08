"""`python -m emo_llama_hf` is the command line `emo-llama`."""

import sys

from .command_line.main import main

sys.exit(main())

"""`python -m emo_llama_hf` is the command line `emo-llama`."""

import sys

from emo_llama_command import main

sys.exit(main())

"""``python -m nnscratch`` is the command line."""

import sys

from nnscratch.cli import main

sys.exit(main())

"""`python -m benchmarks.choice`."""

import sys

from benchmarks.choice.run import main

sys.exit(main())

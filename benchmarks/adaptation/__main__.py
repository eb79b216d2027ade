"""`python -m benchmarks.adaptation`."""

import sys

from benchmarks.adaptation.run import main

sys.exit(main())

"""`python -m benchmarks.allocators`."""

import sys

from benchmarks.allocators.run import main

sys.exit(main())

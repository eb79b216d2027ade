"""`python -m benchmarks.categories`."""

import sys

from benchmarks.categories.run import main

sys.exit(main())

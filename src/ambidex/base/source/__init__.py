"""The library's own source as data: what a file says without its comments, and which files it needs."""

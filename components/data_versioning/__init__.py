"""Data and models on S3 in DVC's own layout: pull, publish, configure the remote, and check that it works."""

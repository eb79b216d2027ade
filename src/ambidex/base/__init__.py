"""What every room stands on: errors, files, statistics, readers and outputs. Nothing here knows of models."""

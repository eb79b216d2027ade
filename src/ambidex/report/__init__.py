"""Reports: charts drawn once, put into a self-contained HTML file and beside it as PNG and CSV for `dvc plots`."""

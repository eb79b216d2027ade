"""The report of a study: many evaluated models in one table, tested, judged in words and drawn."""

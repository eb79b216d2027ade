"""From raw media to the feature store."""

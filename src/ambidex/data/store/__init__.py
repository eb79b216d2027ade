"""From media files to the feature store, and the store as training reads it."""

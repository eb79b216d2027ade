"""From media files to the feature store. Only `extract` decodes media; training reads the store."""

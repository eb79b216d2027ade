"""Category weights against one weight per modality, also shrunk to groups of classes that are confused."""

"""From held-out samples through a fitted allocator to a repaired model."""

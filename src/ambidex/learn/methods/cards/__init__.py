"""The methods' cards, a file each: what a page says beside the mathematics. No training depends on them."""

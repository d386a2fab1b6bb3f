"""Reading a vector back: Selector, Placer and the decode loop."""

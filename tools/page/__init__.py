"""The page of `csipio run`: what the device and the platform do, and what can happen to them."""

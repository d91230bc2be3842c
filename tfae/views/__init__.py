"""From a run's folder to the pictures of it: what they need, what they are, when they apply."""

"""The ideal judge of the test bench: it knows the scenes behind the images, and errs by numbers."""

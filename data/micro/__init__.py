"""The synthetic world of the micro tasks: images, rubrics, wordings."""

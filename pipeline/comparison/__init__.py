"""Several runs side by side: the page of `blpo compare --html`."""

"""A run's page: `report.html`."""

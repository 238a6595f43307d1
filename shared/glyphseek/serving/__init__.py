"""What every service shares: a job put together, run as a plain process, watched, and started with its neighbours."""

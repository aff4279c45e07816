"""What a service keeps and does: data sets, models and their versions, jobs, keys."""

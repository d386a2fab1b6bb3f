"""What trained spaces and predictors are like: units, sentences, moments; for people who ask why."""

"""What is measured of a trained model, through the calls that its users make."""

"""What rows are measured on: made of the samples of the test suite, nothing is downloaded."""

"""LeNet-5 from its layers up."""

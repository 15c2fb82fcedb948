"""Other systems that may ask for jobs, and what each may ask for."""

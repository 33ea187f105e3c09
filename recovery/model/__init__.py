"""The words of the estate, its plans and its outcomes, as frozen data without behaviour of the outside world."""

"""Input made to hurt: one place for the strategies, the properties that must hold and the campaign."""

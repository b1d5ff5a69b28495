"""The method of GuideLabel. Nothing here knows of DVC, the command line or fixed paths."""

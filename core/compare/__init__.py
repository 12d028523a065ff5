"""`umbel compare`: is one model for all tasks better than one for each?"""

"""notification: tells the customer, in Vietnamese, Persian or English, at each turn of a claim.

Consumes `admissions.v1` `contacts.v1` `assessments.v1` `decisions.v1`; produces `notifications.v1`; owns the customers'
contact data and the messages sent to them, whose texts it gives to the console.
"""

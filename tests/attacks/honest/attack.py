import kit

kit.honest()
print("an ordinary line of a log")

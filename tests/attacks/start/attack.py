import os
import time

from kit import honest, say

for name in ("INPUT", "OUTPUT", "HOME", "DOCKER_HOST", "NVIDIA_VISIBLE_DEVICES", "TASK"):
    say(name, os.environ.get(name))
say("data", os.listdir("/data"))
honest()
time.sleep(float(os.environ.get("SECONDS_TO_WAIT", 0)))
say("health", "DONE" if os.path.exists("/tmp/health") else "silent")

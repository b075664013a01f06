"""What psutil and smem make of a /proc tree that was copied out of the guest.

    read_proc.py FOLDER FACTS

FOLDER has the tree, as `proc`; FACTS is a file of lines `fact NAME VALUE`, by the process that knows them.
Prints `ok NAME` or `not ok NAME: WHY` for each check. The wanted numbers are computed here from the text of
the files, or known by the process itself, never asked of the reader that is tested.
"""

import os
import re
import subprocess
import sys

import psutil

folder, facts_path = sys.argv[1:]
psutil.PROCFS_PATH = folder + "/proc"


def read(*parts):
    with open("/".join([folder, "proc", *map(str, parts)])) as file:
        return file.read()


def check(name, seen, wanted):
    good = wanted(seen) if callable(wanted) else seen == wanted
    print(f"ok {name}" if good else f"not ok {name}: {seen!r}" + ("" if callable(wanted) else f" instead of {wanted!r}"))


def sums(text):
    """Of each field in kB, over all records."""
    all = {}
    for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.M):
        all[name] = all.get(name, 0) + int(value)
    return all


def uss(fields):
    return fields["Private_Clean"] + fields["Private_Dirty"]


facts = {}
with open(facts_path) as file:
    for line in file:
        _, name, value = line.split()
        facts[name] = float(value) if "." in value else int(value)

pid = facts["pid"]
process = psutil.Process(pid)
smaps = read(pid, "smaps")
fields = sums(smaps)
page_kb = facts["page"] // 1024

# Who it is.
check("name", process.name(), "guest-tests")
check("cmdline", process.cmdline(), ["guest-tests", "role", "dweller", "one", "two words", ""])
check("exe", process.exe(), "/bin/guest-tests")
check("cwd", process.cwd(), "/root")
check("environ", process.environ().get("HOME"), "/root")
check("ppid", process.ppid(), facts["parent"])
parents = [parent.pid for parent in process.parents()]
check("parents", parents, lambda seen: seen[0] == facts["parent"] and seen[-1] == 1 and len(seen) >= 3)
check("children", [child.pid for child in process.children(recursive=True)], [facts["child"]])
check("descendants of the first", len(psutil.Process(1).children(recursive=True)), lambda seen: seen >= 4)
check("uids", tuple(process.uids()), (0, 0, 0))
check("gids", tuple(process.gids()), (0, 0, 0))
check("pids", psutil.pids(), sorted(int(name) for name in os.listdir(folder + "/proc") if name.isdigit()))

# What it does.
check("status", process.status(), psutil.STATUS_SLEEPING)
check("num_threads", process.num_threads(), facts["threads"])
threads = process.threads()
check("threads", len(threads), facts["threads"])
check("num_fds", process.num_fds(), facts["descriptors"])
times = process.cpu_times()
# A thread may have run on for a little after it was asked; a tick is lost to rounding in each number.
check("cpu_times", times.user + times.system, lambda seen: facts["cpu_seconds"] - 0.03 <= seen <= facts["cpu_seconds"] + 1)
check("threads' times", sum(thread.user_time + thread.system_time for thread in threads), lambda seen: abs(seen - times.user - times.system) <= 0.08)
check("cpu_num", process.cpu_num(), lambda seen: 0 <= seen < len(re.findall(r"^cpu\d", read("stat"), re.M)))
uptime = float(read("uptime").split()[0])
check("create_time", process.create_time() - psutil.boot_time(), lambda seen: 0 < seen <= uptime)
check("num_ctx_switches", tuple(process.num_ctx_switches()), lambda seen: len(seen) == 2)

# What it has.
full = process.memory_full_info()
statm = [int(word) for word in read(pid, "statm").split()]
host_page = os.sysconf("SC_PAGESIZE")
check("memory_info: rss", full.rss, statm[1] * host_page)
check("memory_info: vms", full.vms, statm[0] * host_page)
check("memory_info: text, data", (full.text, full.data), (statm[3] * host_page, statm[5] * host_page))
check("statm and smaps", statm[1] * page_kb, fields["Rss"])
check("memory_full_info: uss", full.uss, uss(fields) * 1024)
# Each record's Pss is rounded down, the rollup's sum once.
records = smaps.count("VmFlags:")
check("memory_full_info: pss", full.pss // 1024 - fields["Pss"], lambda seen: 0 <= seen <= records)
check("memory_full_info: swap", full.swap, 0)
status = dict(re.findall(r"^(\w+):\s+(\d+) kB$", read(pid, "status"), re.M))
check("VmSize and smaps", int(status["VmSize"]), fields["Size"])
maps = process.memory_maps(grouped=False)
check("memory_maps: all", len(maps), len(read(pid, "maps").splitlines()))
names = {"rss": "Rss", "size": "Size", "pss": "Pss", "shared_clean": "Shared_Clean", "shared_dirty": "Shared_Dirty",
         "private_clean": "Private_Clean", "private_dirty": "Private_Dirty", "referenced": "Referenced",
         "anonymous": "Anonymous", "swap": "Swap"}
for name, line in names.items():
    check(f"memory_maps: {name}", sum(getattr(map, name) for map in maps), fields[line] * 1024)
grouped = {map.path: map for map in process.memory_maps(grouped=True)}
check("memory_maps: grouped", sum(map.rss for map in grouped.values()), fields["Rss"] * 1024)
check("memory_maps: names", [name for name in ("[stack]", "[heap]", "/bin/guest-tests", "/tmp/dwelling") if name not in grouped], [])


def mapping(at):
    return next(map for map in maps if int(map.addr.split("-")[0], 16) <= at < int(map.addr.split("-")[1], 16))


own = mapping(facts["anonymous_at"])
wanted = facts["anonymous_pages"] * facts["page"]
check("its own pages", (own.private_dirty >= wanted, own.anonymous >= wanted, own.perms), (True, True, "rw-p"))
shared = mapping(facts["shared_at"])
wanted = facts["shared_pages"] * facts["page"]
check("its shared pages", (shared.rss, shared.pss, shared.shared_dirty, shared.private_dirty, shared.perms), (wanted, wanted // 2, wanted, 0, "rw-s"))
text = mapping(facts["file_at"])
wanted = facts["file_pages"] * facts["page"]
check("its pages of a file", (text.size, text.rss, text.pss, text.anonymous, text.path, text.perms), (wanted, wanted, wanted, 0, "/tmp/dwelling", "r--p"))

# The system.
meminfo = dict(re.findall(r"^(\S+):\s+(\d+) kB$", read("meminfo"), re.M))
memory = psutil.virtual_memory()
check("virtual_memory: total", memory.total, int(meminfo["MemTotal"]) * 1024)
check("virtual_memory: free", memory.free, int(meminfo["MemFree"]) * 1024)
check("virtual_memory: available", memory.available, lambda seen: 0 < seen <= memory.total)
check("swap_memory", psutil.swap_memory().total, 0)
check("cpu_count", psutil.cpu_count(), lambda seen: seen >= 1)
cpus = psutil.cpu_times(percpu=True)
check("cpu_times of each CPU", len(cpus), len(re.findall(r"^cpu\d", read("stat"), re.M)))
check("cpu_times: idle and busy", sum(cpu.user + cpu.system + cpu.idle for cpu in cpus), lambda seen: 0 < seen <= uptime * len(cpus) + 1)
check("every process", [one.pid for one in psutil.process_iter() if not one.name()], [])

# smem: a line for each process that has memory, with the sums of its smaps.
output = subprocess.run(["smem", "-S", folder, "-H", "-c", "pid uss pss rss swap"], capture_output=True, text=True)
check("smem: status", (output.returncode, output.stderr), (0, ""))
rows = {int(row[0]): [int(word) for word in row[1:]] for row in (line.split() for line in output.stdout.splitlines())}
check("smem: the processes", [one in rows for one in (pid, facts["parent"], facts["child"], 1)], [True] * 4)
for row, values in sorted(rows.items()):
    fields = sums(read(row, "smaps"))
    who = {pid: "dweller", facts["parent"]: "parent", facts["child"]: "child"}.get(row)
    wanted = [uss(fields), fields["Pss"], fields["Rss"], 0]
    if who or values != wanted:
        check(f"smem: {who or row}", values, wanted)
total = subprocess.run(["smem", "-S", folder, "-H", "-u", "-c", "user count pss"], capture_output=True, text=True)
check("smem: by user", total.stdout.split()[:2], lambda seen: len(seen) == 2 and int(seen[1]) == len(rows))

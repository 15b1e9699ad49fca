# SPDX-License-Identifier: MIT
"""No circle of calls between source files: if a file takes from another, nothing behind that takes from the first."""
import objects


def circles(arrows):
    """The strongly connected components of more than one node, by Tarjan's algorithm without recursion."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for start in arrows:
        work = [(start, iter(arrows[start]))] if start not in index else []
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            for target in rest:
                if target not in index:
                    work.append((target, iter(arrows[target])))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    ring = [stack.pop()]
                    while ring[-1] != node:
                        ring.append(stack.pop())
                    on_stack -= set(ring)
                    found += [sorted(ring)] if len(ring) > 1 else []
    return found


def check(tree):
    symbols = objects.product(tree)
    home = {symbol: name for name, of in symbols.items() if not name.endswith("/main.c") for symbol in of.defined
            if symbol.startswith("flk_")}  # not those that stand in for the C library
    calls = {name: {home[symbol]: symbol for symbol in sorted(of.taken) if symbol in home and home[symbol] != name}
             for name, of in symbols.items()}
    faults = [] if len(calls) > 100 else ["the build's objects cannot be read by this rule"]
    for ring in circles(calls):
        inside = [f"{name} takes {symbol} from {target}" for name in ring for target, symbol in calls[name].items() if target in ring]
        faults.append(f"a circle of {len(ring)} files: " + "; ".join(inside))
    return faults


def plant_call_back(tree):
    tree.write("common/err.c", tree.read("common/err.c") + '#include "common/log.h"\nvoid *flk_planted(void);\n'
               "void *flk_planted(void) {\n    return (void *)flk_log_init;\n}\n")
    tree.write("common/log.c", tree.read("common/log.c") + "void *flk_planted(void);\nvoid *flk_planted_too(void);\n"
               "void *flk_planted_too(void) {\n    return flk_planted();\n}\n")
    return "common/err.c"


PLANTS = {"call_back": plant_call_back}

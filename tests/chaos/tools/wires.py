# SPDX-License-Identifier: MIT
"""TCP wires that can be cut, held and slowed: wires.py LISTEN:TARGET... (loopback ports). kit/wires.py is its other end.

Commands come by standard input, a line each: `NUMBER WHAT [VALUE]`, where NUMBER is a wire's place in the list.
  pass            held bytes go on
  hold up|down|both   nothing is read from the connecting side, the accepting side, or either: bytes wait, connections stay open
  cut             every connection is closed; new ones come through as before
  delay SECONDS   each chunk waits between half and one and a half of it before it goes on, in order
  rate BYTES      a second at most, each way; 0 is no limit
Each is answered by `ok`. It ends with its standard input.
"""
import asyncio
import random
import sys

CHUNK = 16384


class Wire:
    def __init__(self, target):
        self.target, self.held, self.delay, self.rate = target, set(), 0.0, 0.0
        self.moved, self.writers = asyncio.Event(), set()

    async def connect(self, near_reader, near_writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            near_writer.transport.abort()
            return
        self.writers |= {near_writer, far_writer}
        await asyncio.gather(self.pump("up", near_reader, far_writer), self.pump("down", far_reader, near_writer))
        self.writers -= {near_writer, far_writer}

    async def pump(self, way, reader, writer):
        try:
            while True:
                while way in self.held:
                    await self.moved.wait()
                data = await reader.read(CHUNK)
                while way in self.held:  # read before it was held: not yet through
                    await self.moved.wait()
                if not data:
                    break
                if self.delay:
                    await asyncio.sleep(self.delay * random.uniform(0.5, 1.5))
                if self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def order(self, what, value=None):
        if what == "pass":
            self.held, self.delay, self.rate = set(), 0.0, 0.0
        elif what == "hold":
            self.held = {"up", "down"} if value == "both" else {value}
        elif what == "cut":
            for writer in list(self.writers):
                writer.transport.abort()
        else:
            setattr(self, {"delay": "delay", "rate": "rate"}[what], float(value))
        self.moved.set()
        self.moved.clear()


async def main():
    wires = []
    for pair in sys.argv[1:]:
        listen, target = map(int, pair.split(":"))
        wire = Wire(target)
        await asyncio.start_server(wire.connect, "127.0.0.1", listen)
        wires.append(wire)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print("ok", flush=True)
    while line := (await lines.readline()).decode().split():
        wires[int(line[0])].order(*line[1:])
        print("ok", flush=True)


asyncio.run(main())

"""Stands between a recorder and a simulated venue, and compresses what goes to the recorder.

    python tests/deflate/proxy.py VENUE MODE

VENUE is the address of the venue's websocket. MODE says what is agreed on: `takeover` (each message
is packed with the earlier ones in mind), `alone` (each by itself), or `refused` (nothing is packed).
Every seventh message goes in three fragments. Prints the address where it listens, and at SIGTERM
what it passed on, both as one line of JSON.
"""

import asyncio
import itertools
import json
import signal
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


def extensions(mode):
    if mode == "refused":
        return None
    return [ServerPerMessageDeflateFactory(server_no_context_takeover=mode == "alone")]


async def pass_on(venue_url, passed, recorder):
    passed["connections"] += 1
    passed["packed"] += len(recorder.protocol.extensions)
    async with connect(venue_url, compression=None, max_size=None) as venue:

        async def up():
            async for message in recorder:
                await venue.send(message)

        async def down():
            async for message in venue:
                passed["messages"] += 1
                passed["bytes"] += len(message)
                if passed["messages"] % 7 == 0:
                    third = len(message) // 3
                    cuts = [0, third, 2 * third, len(message)]
                    await recorder.send([message[a:b] for a, b in itertools.pairwise(cuts)])
                else:
                    await recorder.send(message)

        ways = [asyncio.create_task(up()), asyncio.create_task(down())]
        _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in rest:
            way.cancel()
        for ended in await asyncio.gather(*ways, return_exceptions=True):
            expected = (ConnectionClosed, asyncio.CancelledError)
            if ended is not None and not isinstance(ended, expected):
                raise ended


async def main(venue_url, mode):
    passed = {"connections": 0, "packed": 0, "messages": 0, "bytes": 0}
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)

    async def each(recorder):
        await pass_on(venue_url, passed, recorder)

    async with serve(each, "127.0.0.1", 0, compression=None, extensions=extensions(mode)) as server:
        port = server.sockets[0].getsockname()[1]
        path = venue_url.split("/", 3)[3]
        print(json.dumps({"ws": f"ws://127.0.0.1:{port}/{path}"}), flush=True)
        await over.wait()
    print(json.dumps(passed), flush=True)


asyncio.run(main(*sys.argv[1:]))

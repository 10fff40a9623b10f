"""Patroni's own consensus, mended and asked.

    raft.py run PROGRAM [ARGUMENT...]      run patroni or patroni_raft_controller
    raft.py get CONFIG KEY...              print keys of the DCS as a JSON object
    raft.py put CONFIG KEY VALUE [BEFORE]  write a key that is still BEFORE, or not there
    raft.py delete CONFIG KEY VALUE        delete a key that is still VALUE

CONFIG is a configuration of Patroni, which lists the members, and nothing else does. put and
delete exit with 3 where the key is otherwise.

PySyncObj, which Patroni's raft is made of, forgets at a restart in which term it was and
whom it voted for, before 0.3.16. When all members restart, the next entries of the log so
have lower terms than the last ones, and a member that comes a moment later, without them,
wins an election by its older log: the others take back what was committed, keep what they
made of it, and skip what takes its place. From then on the members disagree for good, or the
thread that is to speak to the others dies of it, and the member is silent for ever. All of
this is https://github.com/bakwc/PySyncObj/issues/201; Raft is https://raft.github.io/raft.pdf.

Terms and votes are kept here, and the log is on the disk before others count on it, so that it
does not come to that. And whatever else it may come
to, a member that cannot be right any more ends, for systemd to start it anew: it was to take
back what it had applied, its thread failed, or it has long seen a majority and no leader.
"""
import json
import os
import random
import runpy
import socket
import sys
import threading
import time
import traceback

# For how long a member minds that there is no leader: less at one than at the other, so that
# they do not start anew in step. An election takes two seconds, and a leader that is cut off
# from the others believes in itself for half a minute: leaderFallbackTimeout.
PATIENCE = (45, 90)

# How old the last word of a leader, which has one to say ten times a second, may be.
SILENCE = 10

# Set by the one who knows that no member ever had a log, so that this one may found it.
FOUND = 'BANYAN_RAFT_FOUND'

TERM, VOTE = '_SyncObj__raftCurrentTerm', '_SyncObj__votedForNodeId'


def log(text):
    """Patroni's own log comes too late where the process ends."""
    print('banyan: ' + text, file=sys.stderr, flush=True)


def end(text):
    log(text + ': starting anew')
    os._exit(1)


def is_majority(reached, others, votes):
    """Whether a member that reaches so many of the others, or a client, which has no vote itself,
    can be one of a majority."""
    return 2 * (reached + votes) > others + votes


def reach(addresses):
    """How many of these take connections. PySyncObj's own say less: one that was made while the
    other started may never come to a word, and is kept."""
    reached = 0
    for address in addresses:
        host, port = address.rsplit(':', 1)
        try:
            socket.create_connection((host, int(port)), 2).close()
            reached += 1
        except OSError:
            pass
    return reached


class Watch(object):
    """Tells a member that is stuck from one that only waits for the others."""

    def __init__(self, now, patience):
        self.since, self.patience = now, patience

    def is_stuck(self, now, led, majority):
        """led tells whether there is a leader: the member itself, or one that it heard from."""
        if led or not majority:
            self.since = now
        return now - self.since > self.patience


class Ballot(object):
    """The term of a member and its vote in it, which outlive it: figure 2 of the paper."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path) as f:
                self.term, self.vote = json.load(f)
        except FileNotFoundError:
            self.term, self.vote = 0, None

    def keep(self, term, vote):
        if (term, vote) == (self.term, self.vote):
            return
        with open(self.path + '.tmp', 'w') as f:
            json.dump((term, vote), f)
            f.flush()
            os.fsync(f.fileno())
        os.rename(self.path + '.tmp', self.path)
        directory = os.open(os.path.dirname(self.path), os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        self.term, self.vote = term, vote


class Mended(object):
    """What a SyncObj has beside its own. It is there before its __init__, which takes all
    that comes later for a part of what is replicated."""

    def __init__(self, node, conf):
        now = time.monotonic()
        path = conf.journalFile if node is not None and conf else None
        self.ballot = Ballot(path + '.ballot') if path and forgets() else None
        self.watch = Watch(now, random.uniform(*PATIENCE))
        self.heard = now - SILENCE  # when there was the last word of a leader
        self.taken = {}  # entries by their index that were taken from the log after they were applied
        self.learns = False  # it has lost its log: see learn
        self.members = None  # whom a client is to ask from now on
        self.pinged = self.probed = now
        self.reached = 0


def forgets():
    from pysyncobj.version import VERSION
    return tuple(int(n) for n in VERSION.split('.')) < (0, 3, 16)


def keep_ballot(cls):
    def set_term(obj, term):
        ballot = obj.banyan.ballot
        if ballot:
            term = max(term, ballot.term)
            ballot.keep(term, ballot.vote)
        obj.__dict__[TERM] = term

    def set_vote(obj, vote):
        ballot = obj.banyan.ballot
        if ballot:
            if VOTE not in obj.__dict__:  # it starts
                vote = ballot.vote
            ballot.keep(ballot.term, vote)
        obj.__dict__[VOTE] = vote

    setattr(cls, TERM, property(lambda obj: obj.__dict__[TERM], set_term))
    setattr(cls, VOTE, property(lambda obj: obj.__dict__[VOTE], set_vote))


def keep_log(cls):
    """The header of the journal says where it ends. It says so once the entries are on the disk,
    and before others take their place."""
    set_end = cls._FileJournal__setLastRecordOffset

    def defer(self, end):
        if end > self._FileJournal__getLastRecordOffset():
            self.banyan_end = end
            return
        self.banyan_end = None
        set_end(self, end)
        self.flush()

    def sync(self):
        if self.banyan_end:
            self.flush()
            set_end(self, self.banyan_end)
            self.banyan_end = None
            self.flush()

    cls.banyan_end, cls.banyan_sync = None, sync
    cls._FileJournal__setLastRecordOffset = defer


def keep_members(cls, raft):
    """The members are those of the configuration. PySyncObj has others from its snapshot, from a
    leader's, and from entries of the log. Patroni, whose module raft is, has them from whoever
    answers, and has that one add whoever is missing. So a member that is lost for good would
    count for ever, and each new address as one more."""
    update, reload_config = cls._SyncObj__updateClusterConfiguration, raft.Raft.reload_config
    cls._SyncObj__updateClusterConfiguration = lambda obj, nodes: None
    cls._SyncObj__doChangeCluster = lambda obj, request, reverse=False: False
    # As if nobody answered. Patroni 2.0 asks by sendMessage.
    raft.SyncObjUtility.getMembers = raft.SyncObjUtility.sendMessage = lambda utility, *args: None

    def banyan_update(obj):
        members, obj.banyan.members = obj.banyan.members, None
        if members is not None:
            update(obj, members)

    def reload(dcs, config):
        """Patroni is a client, and not started anew for a new configuration."""
        reload_config(dcs, config)
        dcs._sync_obj.banyan.members = config['raft']['partner_addrs']  # for the thread that uses them

    cls.banyan_update, raft.Raft.reload_config = banyan_update, reload


def sync(obj):
    if hasattr(obj._SyncObj__raftLog, 'banyan_sync'):  # a client has its log in memory
        obj._SyncObj__raftLog.banyan_sync()


def check_log(obj):
    """PySyncObj takes entries from the log and puts them back as they were, which is well. Others
    in the place of what was applied are not."""
    mended, entries = obj.banyan, obj._SyncObj__raftLog
    for index in list(mended.taken):
        at = index - entries[0][1]
        if at >= len(entries):
            continue  # it may yet come
        if at >= 0 and entries[at] != mended.taken[index]:
            end('the entry %d of the log, which was applied, is another one now' % index)
        del mended.taken[index]


def learn(obj):
    """A member without a log knows nothing of what it has agreed to. Others like it and itself
    could be a majority, so it neither votes, see may_vote, nor stands before a leader has told it all."""
    mended = obj.banyan
    obj._SyncObj__raftElectionDeadline = time.monotonic() + SILENCE
    told = obj._SyncObj__leaderCommitIndex
    if told is not None and obj._SyncObj__raftLog[-1][1] > 1 and obj._SyncObj__raftLastApplied >= told:
        mended.learns = False
        log('the log is here, and so this member votes')


def may_vote(obj, candidate):
    """Whether a member votes for one with that request. Of two, each has all that was ever committed,
    so one without a log takes the other for its leader, which could not be one otherwise."""
    return not obj.banyan.learns or len(obj._SyncObj__otherNodes) == 1 and candidate['last_log_index'] > 1


def watch(obj):
    mended, now = obj.banyan, time.monotonic()
    others = [node.id for node in obj._SyncObj__otherNodes]
    votes = 0 if obj._SyncObj__selfNode is None else 1
    led = obj._isLeader() or now - mended.heard < SILENCE
    if mended.watch.is_stuck(now, led, is_majority(mended.reached, len(others), votes)):
        end('no leader for %d s, and %d of the other %d members are there' % (now - mended.watch.since, mended.reached, len(others)))
    if led:
        mended.reached = 0
    elif now - mended.probed > 5:
        mended.probed = now

        def probe():
            mended.reached = reach(others)
        threading.Thread(target=probe, daemon=True).start()
    if now - mended.pinged > 5:
        mended.pinged = now
        notify('WATCHDOG=1')


def notify(state, address=[os.environ.pop('NOTIFY_SOCKET', '')]):
    """sd_notify(3). The address is not for PostgreSQL, which would use it."""
    if address[0]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.sendto(state.encode(), '\0' + address[0][1:] if address[0].startswith('@') else address[0])


def mend():
    from patroni.dcs import raft
    from pysyncobj import journal, syncobj
    cls = syncobj.SyncObj
    init, tick = cls.__init__, cls._onTick
    receive, acknowledge = cls._SyncObj__onMessageReceived, cls._SyncObj__sendNextNodeIdx
    delete, load = cls._SyncObj__deleteEntriesFrom, cls._SyncObj__loadDumpFile

    def __init__(self, selfNode, otherNodes, conf=None, *args, **kwargs):
        self.banyan = mended = Mended(selfNode, conf)
        init(self, selfNode, otherNodes, conf, *args, **kwargs)
        last = self._SyncObj__raftLog[-1]
        setattr(self, TERM, max(getattr(self, TERM), last[2]))
        # The log is written to the disk later than the index up to which it is committed.
        self._SyncObj__raftCommitIndex = min(self._SyncObj__raftCommitIndex, last[1])
        mended.learns = selfNode is not None and last[1] <= 1 and FOUND not in os.environ
        if mended.learns:
            log('there is no log: this member does not vote before it is told what the others have')

    def _onTick(self, *args, **kwargs):
        try:
            if self.banyan.learns:
                learn(self)
            self.banyan_update()
            sync(self)  # before a leader counts itself
            tick(self, *args, **kwargs)
            check_log(self)
            watch(self)
        except Exception:
            end(traceback.format_exc())

    def on_message(self, node, message):
        if message['type'] == 'request_vote' and not may_vote(self, message):
            return
        receive(self, node, message)
        if message['type'] == 'append_entries' and self._SyncObj__raftLeader == node:
            self.banyan.heard = time.monotonic()

    def on_acknowledge(self, *args, **kwargs):
        sync(self)
        acknowledge(self, *args, **kwargs)

    def delete_from(self, index):
        entries = self._SyncObj__raftLog
        for entry in entries[max(0, index - entries[0][1]):]:
            if entry[1] <= self._SyncObj__raftLastApplied:
                self.banyan.taken.setdefault(entry[1], entry)
        delete(self, index)

    def load_dump(self, clearJournal):
        last = self._SyncObj__raftLog[-1][1]
        load(self, clearJournal)
        # A dump that is newer than the start of the journal has it dropped, with what came after.
        left = self._SyncObj__raftLog[-1][1]
        if clearJournal or left >= last:
            return
        self._SyncObj__raftCommitIndex = min(self._SyncObj__raftCommitIndex, left)
        if self._SyncObj__otherNodes:  # else nobody can tell the rest
            log('the log ended at %d, and %d of it are left: this member does not vote before it is told the rest' % (last, left))
            self.banyan.learns = True

    if forgets():
        keep_ballot(cls)
    cls.__init__, cls._onTick = __init__, _onTick
    cls._SyncObj__onMessageReceived, cls._SyncObj__sendNextNodeIdx = on_message, on_acknowledge
    cls._SyncObj__deleteEntriesFrom, cls._SyncObj__loadDumpFile = delete_from, load_dump
    keep_log(journal.FileJournal)
    keep_members(cls, raft)
    mend_password()


def mend_password():
    """With a password a connection that was lost never comes to be again, since it is not
    encrypted any more, and a client cannot say who it is, before 0.3.8."""
    from pysyncobj import tcp_connection, transport
    client, connection = transport.TCPTransport, tcp_connection.TcpConnection
    if hasattr(client, '_sendSelfAddress'):
        return

    class Client(object):
        address = 'readonly'

    received, disconnect = client._onOutgoingMessageReceived, connection.disconnect

    def _onOutgoingMessageReceived(self, conn, message):
        if self._selfNode is None:
            self._selfNode = Client
        received(self, conn, message)

    def encrypted_still(self):
        encryptor = self.encryptor
        disconnect(self)
        self.encryptor = encryptor
    client._onOutgoingMessageReceived, connection.disconnect = _onOutgoingMessageReceived, encrypted_still


def mend_controller(config):
    """The controller of Patroni 2.0 knows of no password and so understands nobody:
    https://patroni.readthedocs.io/en/latest/releases.html, version 2.1.0."""
    import functools
    from patroni import raft_controller
    if hasattr(raft_controller, 'SyncObjConf'):
        import yaml
        with open(config) as f:
            password = yaml.safe_load(f)['raft']['password']
        raft_controller.SyncObjConf = functools.partial(raft_controller.SyncObjConf, password=password)


def set_aside(config):
    """A log that a power cut has damaged is of no use, and PySyncObj does not start on it."""
    import gzip
    import yaml
    from pysyncobj.journal import FileJournal
    with open(config) as f:
        raft = yaml.safe_load(f)['raft']
    path = os.path.join(raft['data_dir'], raft['self_addr'])
    journal, dump = path + '.journal', path + '.dump'
    if not os.path.exists(journal):
        return
    try:
        entries = FileJournal(journal)
        first = entries[0][1] if len(entries) else 1
        entries._destroy()
        if os.path.exists(dump) or first > 1:
            with gzip.open(dump) as f:
                f.read()
    except Exception as e:
        log('the log is damaged (%s), and set aside' % e)
        aside = time.strftime('.damaged-%Y%m%dT%H%M%SZ', time.gmtime())
        for name in (journal, journal + '.meta', dump):
            if os.path.exists(name):
                os.rename(name, name + aside)


def run(arguments):
    mend()
    if os.path.basename(arguments[0]) == 'patroni_raft_controller':
        mend_controller(arguments[1])
        set_aside(arguments[1])
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name='__main__')


def store(config):
    """What patronictl keeps of the DCS, once it has all that is committed."""
    from patroni.config import Config
    from patroni.dcs import get_dcs
    mend()
    c = Config(config).copy()
    c.update({'patronictl': True})
    kv = get_dcs(c)._sync_obj
    confirm(kv)
    return kv


def confirm(kv):
    """A leader that is cut off from the others answers for a while: what a majority takes is certain."""
    if not kv.set('/banyan/asked', str(time.time())):
        sys.exit('the raft has no majority')


def value(kv, key):
    node = kv.get(key)
    return node and node['value']


def get(config, *keys):
    kv = store(config)
    print(json.dumps({key: value(kv, key) for key in keys}))


def put(config, key, new, *before):
    kv, condition = store(config), {'prevValue': before[0]} if before else {'prevExist': False}
    if not kv.set(key, new, **condition):
        fail(kv, key, before[0] if before else None)


def delete(config, key, old):
    kv = store(config)
    if not kv.delete(key, prevValue=old):
        fail(kv, key, old)


def fail(kv, key, before):
    """Patroni's set and delete return False where the key is otherwise, and also where no majority
    took it in time."""
    confirm(kv)
    if value(kv, key) == before:
        sys.exit('no majority of the raft took the change of %s in time' % key)
    sys.exit(3)


def main(command, *arguments):
    if command == 'run':
        run(list(arguments))
    else:
        {'get': get, 'put': put, 'delete': delete}[command](*arguments)
        sys.stdout.flush()
        os._exit(0)  # without waiting for its threads


if __name__ == '__main__':
    main(*sys.argv[1:])

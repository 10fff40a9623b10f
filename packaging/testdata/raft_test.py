"""What raft.py decides, without PySyncObj. The rest is proved on the real thing: make soak."""
import importlib.util
import os
import sys
import tempfile
import types
import unittest

sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location('raft', sys.argv.pop())
raft = importlib.util.module_from_spec(spec)
spec.loader.exec_module(raft)


class Decisions(unittest.TestCase):

    def test_majority(self):
        for reached, others, votes, want in (
            (0, 2, 1, False), (1, 2, 1, True), (2, 2, 1, True),  # three members
            (1, 4, 1, False), (2, 4, 1, True),                   # five
            (1, 3, 1, False), (2, 3, 1, True),                   # four: two are no majority
            (0, 1, 1, False), (1, 1, 1, True), (0, 0, 1, True),  # two, and one
            (1, 3, 0, False), (2, 3, 0, True),                   # a client of three
        ):
            with self.subTest(reached=reached, others=others, votes=votes):
                self.assertEqual(raft.is_majority(reached, others, votes), want)

    def test_watch(self):
        LED, ALONE, STUCK = (True, True), (False, False), (False, True)
        for name, seen, want in (
            ('it leads, or is led', [(0, LED), (100, LED), (200, LED)], False),
            ('the others are not there', [(0, ALONE), (100, ALONE), (200, ALONE)], False),
            ('an election', [(0, LED), (1, STUCK), (3, LED)], False),
            ('no leader yet', [(0, STUCK), (50, STUCK)], False),
            ('no leader for too long', [(0, STUCK), (50, STUCK), (61, STUCK)], True),
            ('the others came only now', [(0, ALONE), (100, ALONE), (101, STUCK)], False),
            ('a leader in between', [(0, STUCK), (50, LED), (61, STUCK), (109, STUCK)], False),
            ('a majority that comes and goes', [(0, STUCK), (50, ALONE), (61, STUCK)], False),
            ('a leader is lost', [(0, LED), (10, STUCK), (71, STUCK)], True),
        ):
            with self.subTest(name):
                watch = raft.Watch(0, 60)
                for now, (led, majority) in seen:
                    stuck = watch.is_stuck(now, led, majority)
                self.assertEqual(stuck, want)

    def test_patience_differs(self):
        low, high = raft.PATIENCE
        self.assertGreater(low, 30)  # leaderFallbackTimeout
        self.assertGreater(high - low, 30)

    def test_ballot_outlives_the_process(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'ballot')
            ballot = raft.Ballot(path)
            self.assertEqual((ballot.term, ballot.vote), (0, None))
            ballot.keep(7, 'n2')
            again = raft.Ballot(path)
            self.assertEqual((again.term, again.vote), (7, 'n2'))

    def test_terms_only_grow(self):
        """As PySyncObj sets them: at a start, as a candidate, for another's vote."""
        class SyncObj(object):
            def __init__(self, ballot):
                self.__dict__['banyan'] = types.SimpleNamespace(ballot=ballot)
                self.__raftCurrentTerm = 0
                self.__votedForNodeId = None

            def set(self, term, vote):
                self.__raftCurrentTerm = term
                self.__votedForNodeId = vote

            def get(self):
                return self.__raftCurrentTerm, self.__votedForNodeId
        raft.keep_ballot(SyncObj)
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'ballot')
            member = SyncObj(raft.Ballot(path))
            self.assertEqual(member.get(), (0, None))
            member.set(5, 'n1')
            restarted = SyncObj(raft.Ballot(path))
            self.assertEqual(restarted.get(), (5, 'n1'))
            restarted.set(6, None)
            self.assertEqual(SyncObj(raft.Ballot(path)).get(), (6, None))
            restarted.set(3, 'n2')  # Patroni 2.0 sets the term of the log's last entry
            self.assertEqual(restarted.get(), (6, 'n2'))
        client = SyncObj(None)
        client.set(9, None)
        self.assertEqual(client.get(), (9, None))

    def test_members_are_those_of_the_configuration(self):
        """As PySyncObj has them from a dump and from the log, and Patroni from a member that answers."""
        class SyncObj(object):
            def __init__(self, others):
                self.banyan = types.SimpleNamespace(members=None)
                self.__otherNodes = set(others)

            def load(self, dumped):
                self.__updateClusterConfiguration(dumped)

            def replay(self, request):
                return self.__doChangeCluster(request), self.__doChangeCluster(request, reverse=True)

            def others(self):
                return sorted(self.__otherNodes)

            def __doChangeCluster(self, request, reverse=False):
                (self.__otherNodes.discard if reverse else self.__otherNodes.add)(request[1])
                return True

            def __updateClusterConfiguration(self, nodes):
                self.__otherNodes = set(nodes)

        class DynMemberSyncObj(SyncObj):  # of Patroni 2.0
            def _SyncObj__doChangeCluster(self, request, reverse=False):
                return super(DynMemberSyncObj, self)._SyncObj__doChangeCluster(request, reverse)

        class DCS(object):
            def reload_config(self, config):
                self.ttl = config['ttl']

        class Raft(DCS):
            pass

        class SyncObjUtility(object):
            def getMembers(self):
                return ['n9']

            def sendMessage(self, message):
                return [{'addr': 'n9'}]

        raft.keep_members(SyncObj, types.SimpleNamespace(Raft=Raft, SyncObjUtility=SyncObjUtility))
        for cls in SyncObj, DynMemberSyncObj:
            with self.subTest(cls.__name__):
                member = cls(['n2', 'n3'])
                member.load(['n2', 'n3', 'n4'])
                self.assertEqual(member.replay(['add', 'n4']), (False, False))
                self.assertEqual(member.replay(['rem', 'n2']), (False, False))
                member.banyan_update()
                self.assertEqual(member.others(), ['n2', 'n3'])
        utility = SyncObjUtility()
        self.assertIsNone(utility.getMembers())
        self.assertIsNone(utility.sendMessage(['members']))

        client = Raft()
        client._sync_obj = SyncObj(['n1', 'n2'])
        client.reload_config({'ttl': 30, 'raft': {'partner_addrs': ['n1', 'n3']}})
        self.assertEqual((client.ttl, client._sync_obj.others()), (30, ['n1', 'n2']))
        client._sync_obj.banyan_update()
        self.assertEqual(client._sync_obj.others(), ['n1', 'n3'])

    def test_what_is_not_written_is_told_from_what_is_otherwise(self):
        class KV(object):
            """What a majority has, and whether it takes changes."""
            def __init__(self, data, asked, takes):
                self.data, self.asked, self.takes = data, asked, takes

            def get(self, key):
                return {'value': self.data[key]} if key in self.data else None

            def set(self, key, new, prevExist=None, prevValue=None):
                if key == '/banyan/asked':
                    return self.asked
                now = self.data.get(key)
                if not self.takes or prevExist is False and now is not None or prevValue not in (None, now):
                    return False
                self.data[key] = new
                return True

            def delete(self, key, prevValue):
                if not self.takes or self.data.get(key) != prevValue:
                    return False
                del self.data[key]
                return True

        put = lambda *before: raft.put('', 'k', 'new', *before)
        delete = lambda: raft.delete('', 'k', 'old')
        late = 'no majority of the raft took the change of k in time'
        store = raft.store
        try:
            for name, do, data, asked, takes, want in (
                ('there was none', put, {}, True, True, None),
                ('it is there', put, {'k': 'old'}, True, True, 3),
                ('it is as it was', lambda: put('old'), {'k': 'old'}, True, True, None),
                ('it is another', lambda: put('old'), {'k': 'other'}, True, True, 3),
                ('it is gone', lambda: put('old'), {}, True, True, 3),
                ('not in time, and there is none', put, {}, True, False, late),
                ('not in time, and it is as it was', lambda: put('old'), {'k': 'old'}, True, False, late),
                ('not in time, and nobody knows', put, {}, False, False, 'the raft has no majority'),
                ('deleted', delete, {'k': 'old'}, True, True, None),
                ('not deleted: another', delete, {'k': 'other'}, True, True, 3),
                ('not deleted in time', delete, {'k': 'old'}, True, False, late),
                ('not deleted, and nobody knows', delete, {'k': 'old'}, False, False, 'the raft has no majority'),
            ):
                with self.subTest(name):
                    raft.store = lambda config: KV(data, asked, takes)
                    code = None
                    try:
                        do()
                    except SystemExit as e:
                        code = e.code
                    self.assertEqual(code, want)
        finally:
            raft.store = store

    def test_who_has_no_log_votes_only_for_who_has_all(self):
        for name, learns, others, last, want in (
            ('it has its log', False, 2, 1, True),
            ('two of three without a log', True, 2, 1, False),
            ('of three, one that may have less', True, 2, 9, False),
            ('the other of two', True, 1, 9, True),
            ('two of two without a log', True, 1, 1, False),
        ):
            with self.subTest(name):
                obj = types.SimpleNamespace(banyan=types.SimpleNamespace(learns=learns), _SyncObj__otherNodes=range(others))
                self.assertEqual(raft.may_vote(obj, {'last_log_index': last}), want)

    def test_what_was_applied_is_taken_back(self):
        def member(entries, taken):
            return types.SimpleNamespace(_SyncObj__raftLog=entries, banyan=types.SimpleNamespace(taken=taken))
        ended = []
        end, raft.end = raft.end, ended.append
        try:
            for name, entries, taken, left, ends in (
                ('put back as it was', [(b'a', 5, 2), (b'b', 6, 2)], {6: (b'b', 6, 2)}, {}, False),
                ('not there yet', [(b'a', 5, 2)], {6: (b'b', 6, 2)}, {6: (b'b', 6, 2)}, False),
                ('another term', [(b'a', 5, 2), (b'b', 6, 3)], {6: (b'b', 6, 2)}, {}, True),
                ('compacted meanwhile', [(b'c', 7, 2), (b'd', 8, 2)], {6: (b'b', 6, 2)}, {}, False),
            ):
                with self.subTest(name):
                    del ended[:]
                    m = member(entries, taken)
                    raft.check_log(m)
                    self.assertEqual(m.banyan.taken, left)
                    self.assertEqual(bool(ended), ends)
        finally:
            raft.end = end


unittest.main()

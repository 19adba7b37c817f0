import Daemon

await OutboxRelayProgram.main()

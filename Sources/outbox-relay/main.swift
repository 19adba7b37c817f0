import Daemon
import OutboxRelayProgram

await OutboxRelayProgram.main()

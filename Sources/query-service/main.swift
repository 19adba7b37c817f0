import Daemon
import QueryServiceProgram

await QueryServiceProgram.main()

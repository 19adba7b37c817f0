import Daemon
import DeadLetterHandlerProgram

await DeadLetterHandlerProgram.main()

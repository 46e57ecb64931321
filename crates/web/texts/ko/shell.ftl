brand = 앞줄
skip = 본문으로 건너뛰기
nav = 주요 메뉴
nav-mine = 내 예매
nav-account = 내 정보
nav-sign-in = 로그인
footer = 먼저 온 순서대로, 누구에게나 같은 줄.

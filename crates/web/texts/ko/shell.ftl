brand = 앞줄
skip = 본문으로 건너뛰기
nav = 주요 메뉴
nav-mine = 내 예매
nav-account = 내 정보
nav-sign-in = 로그인
to-season = 공연 보기
footer = 누구나 같은 줄에 서고, 먼저 선 순서대로 입장합니다.
